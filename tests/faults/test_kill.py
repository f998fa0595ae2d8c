import pytest

from tests.faults.kill import main


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_killed_goes_on_to_the_same_bytes(seed: int) -> None:
    assert main(["--kills", "3", "--count", "1500", "--seed", str(seed)]) == 0
