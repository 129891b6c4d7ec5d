"""The stages that make a corpus, and where the later ones find it; loads nothing that trains."""

from services.contract.errors import ConfigError
from training.config import TrainingConfig
from training.prepare.run import prepare as prepare_corpus
from training.prepare.shards import PreparedCorpus
from training.synthesize.corpus import synthesize as synthesize_corpus


def synthesize(config: TrainingConfig) -> None:
    """Speak the corpus."""
    if config.synthesize is None:
        raise ConfigError("the config has no `synthesize` section", param="synthesize")
    synthesize_corpus(config.synthesize, config.work_dir / "corpus")


def prepare(config: TrainingConfig, out_url: str | None = None) -> None:
    """Turn recordings and texts into shards."""
    if config.prepare is None:
        raise ConfigError("the config has no `prepare` section", param="prepare")
    section = config.prepare
    if config.synthesize is not None:
        section = section.model_copy(update={"source": config.work_dir / "corpus"})
    prepare_corpus(section, out_url or str(config.work_dir / "prepared"))


def open_corpus(config: TrainingConfig) -> PreparedCorpus:
    """Open what `prepare` made, or what the config names."""
    return PreparedCorpus.open(config.prepared or str(config.work_dir / "prepared"))
