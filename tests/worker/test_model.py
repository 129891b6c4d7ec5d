import ctranslate2
import numpy as np
import pytest

from services.worker.model import rows_of


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_encoder_outputs_of_every_type_can_be_taken_apart(dtype: str) -> None:
    values = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    encoded = ctranslate2.StorageView.from_array(values).to(getattr(ctranslate2.DataType, dtype))
    assert np.array_equal(rows_of(encoded, [2, 0]), values[[2, 0]])
