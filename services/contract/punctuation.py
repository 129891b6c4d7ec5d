"""What ends a sentence: alike for the worker's segments and the API's subtitles."""

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")
