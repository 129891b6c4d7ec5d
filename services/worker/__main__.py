"""`python -m services.worker`: see main.py."""

import sys

from services.worker.main import main

sys.exit(main())
