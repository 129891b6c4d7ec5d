"""Can this machine store recordings, decode them, and run the model?"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

from services.client.findings import Finding, bad, good, warning
from services.contract import model_registry
from services.contract.audio_store import AudioStore
from services.contract.errors import SttError
from services.contract.settings import CommonSettings, child_environ

#: What browsers, phones and recorders send.
DECODERS = ("pcm_s16le", "flac", "mp3", "aac", "opus", "vorbis")
LOW_DISK_BYTES = 5 * 1024**3
#: Loading a large model from a slow disk takes a while.
WORKER_CHECK_TIMEOUT_S = 300.0


def check_store(settings: CommonSettings) -> Iterator[Finding]:
    """Write to the audio store, and look at the room that is left."""
    url = settings.audio_store_url
    try:
        store = AudioStore(url)
        store.check()
        yield good("Audio store", f"{url} can be written")
    except SttError as error:
        yield bad("Audio store", error.message, "correct STT_AUDIO_STORE_URL or its permissions")
        return
    folder = store.local_path("free")
    if folder is not None:
        free = shutil.disk_usage(folder.parent).free
        told = f"{free / 1024**3:.1f} GiB free"
        if free < LOW_DISK_BYTES:
            yield warning("Disk", told, "make room, or shorten STT_AUDIO_TTL_S")
        else:
            yield good("Disk", told)


def check_codecs() -> Iterator[Finding]:
    """Look for the decoders of common recordings."""
    try:
        import av
    except ImportError:
        advice = "pip install 'whisper-sv[api,worker]' where API and workers run"
        yield warning("Codecs", "PyAV is not installed here", advice)
        return
    missing = [name for name in DECODERS if name not in av.codecs_available]
    if missing:
        yield bad("Codecs", f"no decoder for {', '.join(missing)}", "install PyAV's own wheel")
    else:
        yield good("Codecs", f"PyAV {av.__version__} decodes {', '.join(DECODERS)}")


def check_model(settings: CommonSettings) -> Iterator[Finding]:
    """Verify the files of the model that is served, then let the worker load and run it."""
    try:
        bundle = model_registry.served(
            settings.model, settings.models_dir, cache_dir=settings.hub_cache_dir
        )
    except SttError as error:
        yield bad("Model", error.message)
        return
    yield good("Model", f"{bundle.id}, files verified ({bundle.path})")
    yield _worker_check(settings)


def _worker_check(settings: CommonSettings) -> Finding:
    environ = child_environ(
        {"STT_MODEL": settings.model, "STT_MODELS_DIR": str(settings.models_dir)}
    )
    command = [sys.executable, "-m", "services.worker", "--check"]
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=WORKER_CHECK_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return bad("Device", f"no decode within {WORKER_CHECK_TIMEOUT_S:.0f} s", "use a GPU")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        return bad("Device", lines[-1].removeprefix("error: "))
    report = json.loads(done.stdout.strip().splitlines()[-1])
    told = f"{report['device']}, {report['compute_type']}"
    return good("Device", f"{told}; loaded in {report['load_s']:.1f} s, decodes")
