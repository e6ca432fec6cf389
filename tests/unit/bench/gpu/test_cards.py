"""What `nvidia-smi` says."""

from __future__ import annotations

from bench.gpu.cards import PEAKS, Card, read_card


def test_a_card_is_read_from_the_first_line() -> None:
    """Name, memory, driver, architecture."""
    found = read_card("NVIDIA H100 80GB HBM3, 81559, 580.159.04, 9.0\nNVIDIA L4, 23034, 580.159.04, 8.9\n")
    assert found == Card("NVIDIA H100 80GB HBM3", 81559, "580.159.04", 90)
    assert found.peak is PEAKS["NVIDIA H100 80GB HBM3"]


def test_a_card_that_nobody_listed_has_no_peak() -> None:
    """So its utilization is not measured, and not guessed."""
    card = read_card("NVIDIA GeForce RTX 5060 Ti, 16311, 590.1, 12.0")
    assert card is not None
    assert (card.capability, card.peak) == (120, None)


def test_anything_else_is_no_card() -> None:
    """Such as the message of a driver that does not answer."""
    assert read_card("No devices were found") is None
    assert read_card("") is None


def test_bandwidths_come_from_the_pipelines_list() -> None:
    """Every name that is referred to is there."""
    assert {name: peak.bandwidth for name, peak in PEAKS.items() if peak.listed}["NVIDIA H200"] == 4800e9
