"""A push parser for multipart forms: fields are kept, the file's bytes pass through.

Fields may come before and after the file. Nothing is written to disk here, and what is kept in
memory is bounded.
"""

import re
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.api.filenames import clean_filename
from services.contract.errors import InvalidRequestError

FILE_FIELD = "file"
MAX_FIELDS = 200
MAX_FIELD_BYTES = 64 * 1024
MAX_ALL_FIELDS_BYTES = 256 * 1024
#: How some clients write a name that is not ASCII, though forms should not have it (RFC 7578 4.2).
#: Where both are sent, as .NET does, the other one is an approximation (RFC 6266 4.3).
_ENCODED_FILENAME = re.compile(r"filename\*=utf-8'[^']*'(?P<name>[^;\s]+)", re.IGNORECASE)


class MultipartForm:
    """Feed it the body piece by piece; it returns the file's bytes as they come."""

    def __init__(self, content_type: str) -> None:
        """Start with the request's Content-Type.

        Raises:
            InvalidRequestError: it has no usable boundary.
        """
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise InvalidRequestError(
                "The multipart body has no boundary in its Content-Type: let the HTTP library "
                "write that header."
            )
        self.pairs: list[tuple[str, str]] = []
        self.filename = ""
        self.content_type = ""
        self.has_file = False
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._field = bytearray()
        self._field_name = ""
        self._n_field_bytes = 0
        self._in_file = False
        self._file_bytes: list[memoryview] = []
        self._is_complete = False
        self._parser = self._start(boundary)

    def feed(self, chunk: bytes) -> list[memoryview]:
        """Parse the next piece of the body; return the file's bytes in it, not copied.

        Raises:
            InvalidRequestError: the form is malformed, or its fields are too many or too large.
        """
        self._file_bytes = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InvalidRequestError("The multipart body is malformed.") from error
        return self._file_bytes

    def finish(self) -> None:
        """Check that the form was complete and had a file.

        Raises:
            InvalidRequestError: it was cut off, or had none.
        """
        if not self._is_complete:
            raise InvalidRequestError("The multipart body ends before its last boundary.")
        if not self.has_file:
            raise InvalidRequestError(
                "There is no file in the form: send the recording in a part named file.",
                param=FILE_FIELD,
            )

    def _start(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise InvalidRequestError("The multipart boundary is too long.") from error

    def _on_part_begin(self) -> None:
        self._headers = {}
        self._field = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        kind, attributes = parse_options_header(disposition)
        if kind != b"form-data" or b"name" not in attributes:
            raise InvalidRequestError("A part of the form has no name.")
        name = decoded(attributes[b"name"], "A field name")
        self._in_file = name == FILE_FIELD
        if self._in_file:
            encoded = _ENCODED_FILENAME.search(disposition)
            plain = attributes.get(b"filename", b"")
            self._begin_file(unquote_to_bytes(encoded["name"]) if encoded else unescaped(plain))
        elif b"filename" in attributes:
            raise InvalidRequestError("Only the part named file may be a file.", param=name[:100])
        else:
            self._begin_field(name)

    def _begin_file(self, filename: bytes) -> None:
        if self.has_file:
            raise InvalidRequestError("The form has more than one file.", param=FILE_FIELD)
        self.has_file = True
        self.filename = clean_filename(filename.decode("utf-8", "replace"))
        self.content_type = self._headers.get(b"content-type", b"").decode("latin-1")

    def _begin_field(self, name: str) -> None:
        if len(self.pairs) >= MAX_FIELDS:
            raise InvalidRequestError(f"The form has more than {MAX_FIELDS} fields.")
        self._field_name = name
        self._count(len(name))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file_bytes.append(memoryview(data)[start:end])
            return
        self._count(end - start)
        self._field += data[start:end]
        if len(self._field) > MAX_FIELD_BYTES:
            raise InvalidRequestError(
                f"The field is larger than {MAX_FIELD_BYTES} bytes.", param=self._field_name[:100]
            )

    def _on_part_end(self) -> None:
        if not self._in_file:
            name = self._field_name
            self.pairs.append((name, decoded(bytes(self._field), f"The field {name[:100]}")))

    def _on_end(self) -> None:
        self._is_complete = True

    def _count(self, n_bytes: int) -> None:
        self._n_field_bytes += n_bytes
        if self._n_field_bytes > MAX_ALL_FIELDS_BYTES:
            raise InvalidRequestError(
                f"The fields of the form are larger than {MAX_ALL_FIELDS_BYTES} bytes together."
            )


def unescaped(filename: bytes) -> bytes:
    """Return a name without percent-encoding: aiohttp writes all so, browsers quotation marks.

    What is not UTF-8 then was not encoded.
    Source: RFC 7578, 4.2.
    """
    plain = unquote_to_bytes(filename)
    try:
        plain.decode("utf-8")
    except UnicodeDecodeError:
        return filename
    return plain


def decoded(raw: bytes, what: str) -> str:
    """Return a name or value of a form as text.

    Raises:
        InvalidRequestError: it is not UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{what} is not UTF-8 text.") from error
