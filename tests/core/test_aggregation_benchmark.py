"""The speed benchmark's measurements, in small."""

from benchmarks import measure


def test_later_votes_are_measured_however_few_votes_there_are(tmp_path):
    measure.simulate(str(tmp_path), "500")
    measured = measure.later(str(tmp_path))["later"]
    assert {name: figures["drift_of_touched"]["tasks"] for name, figures in measured.items()} == dict.fromkeys(
        ("dawid_skene", "hierarchical_dawid_skene", "auto"), 1
    )
