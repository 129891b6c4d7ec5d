"""Decodes many short recordings through CTranslate2, as fast as the machine allows.

What is evaluated is what is served: the same weights, features, prompt and context lengths; a
suspicious transcript of a clip without padding is decoded again with it, and what a model that
writes times leaves out at the end of a clip is read next. Clips are sorted by length, so that a
batch holds clips of one length and little is computed on padding.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor

from services.contract import cublas
from services.contract.encoder_context import FULL_CONTEXT_FRAMES, context_frames, text_room
from services.contract.errors import ConfigError, ModelBundleError
from services.contract.model_bundle import ModelBundle
from services.contract.suspicion import (
    COMPRESSION_RATIO_LIMIT,
    LOG_PROB_LIMIT,
    compression_ratio,
    mean_log_prob,
)
from services.contract.unread import unread_from
from training.evaluate.config import Context, EvaluateConfig
from training.evaluate.decoded import Decoded, DecodedSet, Piece, Samples
from training.evaluate.journal import Entry, Journal
from training.prepare.shards import SAMPLE_RATE, Clip, PreparedCorpus
from training.progress import track
from training.time_limit import TimeLimit

HOP_SAMPLES = 160


class Decoder:
    """A loaded bundle and the options of an evaluation."""

    def __init__(
        self,
        bundle: ModelBundle,
        config: EvaluateConfig,
        journal: Journal | None = None,
        limit: TimeLimit | None = None,
    ) -> None:
        """Load the weights.

        Args:
            bundle: the model.
            config: how it is run.
            journal: holds what is not to be decoded again, and gets what is decoded.
            limit: of the time; looked at before each batch.
        Raises:
            ModelBundleError: CTranslate2 cannot load them on this device.
            ConfigError: the language is not one of the model's.
        """
        self._config = config
        self._journal = journal
        self._limit = limit or TimeLimit(None)
        self._n_mels = bundle.n_mels
        self._model = _load(bundle.path, config)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(bundle.path / "tokenizer.json"))
        # Everything from this token on is not text: languages, tasks, timestamps.
        self._end_of_text = self._token_id("<|endoftext|>")
        self._first_timestamp = self._token_id("<|notimestamps|>") + 1
        self._features = FeatureExtractor(feature_size=bundle.n_mels)
        self._prompt = self._make_prompt(bundle)

    def decode(
        self,
        corpus: PreparedCorpus,
        clips: Sequence[Clip],
        context: Context,
        description: str,
    ) -> DecodedSet:
        """Decode clips of a corpus.

        Args:
            corpus: holds the clips.
            clips: what to decode, each at most 30 s.
            context: full or short.
            description: what is being done, for the progress bar.
        Raises:
            ModelBundleError: the device fails, or has too little memory.
            OutputError: the journal cannot be written.
            OutOfTimeError: too little time is left.
        """
        return self._decode_all(corpus, [Piece(clip) for clip in clips], context, description)

    def _decode_all(
        self, corpus: PreparedCorpus, pieces: Sequence[Piece], context: Context, description: str
    ) -> DecodedSet:
        result = self._decode_padded_if_suspicious(corpus, pieces, context, description)
        unread = {i: each.unread_from for i, each in enumerate(result.decoded) if each.unread_from}
        if not unread:
            return result
        rests = [pieces[index].rest(seconds) for index, seconds in unread.items()]
        read = self._decode_all(corpus, rests, context, f"{description}, what was left out")
        return result.with_rests(list(unread), read)

    def _decode_padded_if_suspicious(
        self, corpus: PreparedCorpus, pieces: Sequence[Piece], context: Context, description: str
    ) -> DecodedSet:
        result = self._decode_once(corpus, pieces, context, description)
        if context == "full":
            return result
        again = [index for index, each in enumerate(result.decoded) if each.is_suspicious]
        if not again:
            return result
        padded = self._decode_once(
            corpus,
            [pieces[index] for index in again],
            "full",
            f"{description}, again with padding",
        )
        return result.with_some_again(again, padded)

    def _decode_once(
        self, corpus: PreparedCorpus, pieces: Sequence[Piece], context: Context, description: str
    ) -> DecodedSet:
        found = self._found_earlier(pieces, context)
        left = [index for index in range(len(pieces)) if index not in found]
        batches = list(self._batches(pieces, left, context))
        for indices in track(self._limit.steps(batches), len(batches), description):
            batch = [pieces[index] for index in indices]
            entries = self._decode_batch(corpus, batch, context)
            if self._journal is not None:
                self._journal.add(entries)
            found.update(zip(indices, entries, strict=True))
        return DecodedSet(
            decoded=tuple(found[index].decoded for index in range(len(pieces))),
            audio_s=sum(piece.duration_s for piece in pieces),
            processing_s=sum(entry.processing_s for entry in found.values()),
        )

    def _found_earlier(self, pieces: Sequence[Piece], context: Context) -> dict[int, Entry]:
        if self._journal is None:
            return {}
        found = {index: self._journal.find(piece, context) for index, piece in enumerate(pieces)}
        return {index: entry for index, entry in found.items() if entry is not None}

    def _batches(
        self, pieces: Sequence[Piece], indices: Iterable[int], context: Context
    ) -> Iterator[list[int]]:
        """Group recordings of the same context length, longest first: memory peaks at once."""

        def frames(index: int) -> int:
            return self._frames(round(pieces[index].duration_s * SAMPLE_RATE), context)

        order = sorted(indices, key=lambda i: (-frames(i), -pieces[i].duration_s))
        for _, group in groupby(order, key=frames):
            yield from _chunks(group, self._config.batch_size)

    def _decode_batch(
        self, corpus: PreparedCorpus, pieces: Sequence[Piece], context: Context
    ) -> list[Entry]:
        recordings = [piece.samples(corpus) for piece in pieces]
        started = time.perf_counter()
        decoded = self._decode_recordings(recordings, context)
        processing_s = (time.perf_counter() - started) / len(pieces)
        return [
            Entry.of(piece, context, each, processing_s)
            for piece, each in zip(pieces, decoded, strict=True)
        ]

    def _decode_recordings(self, recordings: list[Samples], context: Context) -> list[Decoded]:
        n_frames = max(self._frames(len(samples), context) for samples in recordings)
        batch = np.zeros((len(recordings), self._n_mels, n_frames), dtype=np.float32)
        for row, samples in zip(batch, recordings, strict=True):
            features = self._features(samples)[:, :n_frames]
            row[:, : features.shape[1]] = features
        n_tokens = min(self._config.max_new_tokens, text_room(n_frames))
        results = self._generate(batch, n_tokens)
        return [
            self._read(r.sequences_ids[0], r.scores[0], n_tokens, len(samples) / SAMPLE_RATE)
            for r, samples in zip(results, recordings, strict=True)
        ]

    def _generate(self, batch: Samples, n_tokens: int) -> list[Any]:
        try:
            results: list[Any] = self._model.generate(
                self._encode(batch),
                [self._prompt] * len(batch),
                beam_size=self._config.beam_size,
                # CTranslate2 gives at most half of max_length to new tokens.
                max_length=2 * n_tokens,
                return_scores=True,
                suppress_blank=True,
                suppress_tokens=[-1],
            )
        except RuntimeError as error:  # no memory left, or libraries of the GPU that are not there
            raise ModelBundleError(
                f"CTranslate2 cannot compute with {self._model.device}: {error}; set "
                "evaluate.batch_size lower or evaluate.device=cpu; for a missing libcublas.so.12: "
                f"{cublas.HOW_TO_GET_IT}"
            ) from error
        return results

    def _encode(self, batch: Samples) -> ctranslate2.StorageView:
        """Leave a batch to `generate`, or encode it clip by clip where that is faster.

        On a processor the activations of several clips outgrow the caches (benchmarks/encoder.py).
        """
        if self._model.device != "cpu":
            return ctranslate2.StorageView.from_array(batch)
        views = (ctranslate2.StorageView.from_array(clip[np.newaxis]) for clip in batch)
        states = [np.array(self._model.encode(view)) for view in views]
        return ctranslate2.StorageView.from_array(np.concatenate(states))

    def _frames(self, n_samples: int, context: Context) -> int:
        n_frames = min(FULL_CONTEXT_FRAMES, -(-n_samples // HOP_SAMPLES))
        return context_frames(n_frames, short_context=context == "short")

    def _read(self, tokens: list[int], score: float, limit: int, duration_s: float) -> Decoded:
        words = [token for token in tokens if token < self._end_of_text]
        text = self._tokenizer.decode(words).strip()
        ended = len(tokens) < limit
        is_suspicious = _is_suspicious(text, mean_log_prob(score, len(tokens)), ended)
        left = unread_from(tokens, self._first_timestamp, duration_s)
        return Decoded(text, len(tokens), ended, is_suspicious, left)

    def _make_prompt(self, bundle: ModelBundle) -> list[int]:
        config = self._config
        tokens = ["startoftranscript", config.language, config.task]
        tokens += [] if config.writes_times else ["notimestamps"]
        if bundle.languages and config.language not in bundle.languages:
            raise ConfigError(
                f"evaluate.language: {bundle.id} was made for {', '.join(bundle.languages)}, "
                f"not for {config.language!r}"
            )
        return [self._token_id(f"<|{token}|>") for token in tokens]

    def _token_id(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise ConfigError(f"the model's tokenizer has no {token}")
        return int(token_id)


def _is_suspicious(text: str, log_prob: float, ended: bool) -> bool:
    repeats = compression_ratio(text) > COMPRESSION_RATIO_LIMIT
    return repeats or log_prob < LOG_PROB_LIMIT or not ended


def _load(path: Path, config: EvaluateConfig) -> ctranslate2.models.Whisper:
    if config.device != "cpu":
        cublas.load_cublas()
    try:
        return ctranslate2.models.Whisper(
            str(path),
            device=config.device,
            compute_type=config.compute_type,
            intra_threads=config.threads,
        )
    except (RuntimeError, ValueError) as error:
        raise ModelBundleError(f"CTranslate2 cannot load {path}: {error}") from error


def _chunks(indices: Iterable[int], size: int) -> Iterator[list[int]]:
    iterator = iter(indices)
    while chunk := list(islice(iterator, size)):
        yield chunk
