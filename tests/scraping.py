"""What a scraper reads of a run: pages over HTTP, and the samples in them."""

import http.client

from prometheus_client.parser import text_string_to_metric_families

from gpm_cdc.observability.metrics import METRICS

type Scrape = dict[tuple[str, ...], float]
"""Values by the sample's name and the values of its labels but for the stream's, in the order of the declaration."""

_PLACES = {each.name: [*each.label_names[1:], "le"] for each in METRICS}


def get(port: int, path: str, host: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    """Status and body; ConnectionRefusedError where nobody listens."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def read(text: str, stream: str) -> Scrape:
    """The samples of a page of metrics, each of which has to be of `stream`."""
    found: Scrape = {}
    for family in text_string_to_metric_families(text):
        places = _PLACES.get(family.name) or _PLACES[f"{family.name}_total"]
        for sample in family.samples:
            assert sample.labels["stream"] == stream
            labels = [sample.labels[name] for name in places if name in sample.labels]
            assert len(labels) == len(sample.labels) - 1
            found[(sample.name, *labels)] = sample.value
    return found


def present(found: Scrape, name: str) -> str | None:
    """Which state a metric of kind `state` tells; None while it is absent."""
    states = [key[1] for key, value in found.items() if key[0] == name and value == 1]
    assert len(states) <= 1
    return states[0] if states else None
