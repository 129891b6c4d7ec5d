"""`python -m services.client` is `whisper-sv`, where the command is not on the PATH."""

from services.client.command_line import main

main()
