"""Scale's own client: good calls, and the typed exception of each error."""
import os
from datetime import datetime, timezone

import scale_gp


def client(key):
    return scale_gp.SGPClient(api_key=key, base_url=os.environ["URL"], max_retries=0, _strict_response_validation=True)


def statistics(key=os.environ["KEY"], **arguments):
    arguments = {"start_date": None, "end_date": None, "chunks": None} | arguments
    return client(key).models.usage_statistics.retrieve(**arguments)


def refused(error, **arguments):
    try:
        statistics(**arguments)
    except error as raised:
        return raised.body
    raise AssertionError(f"{arguments} did not raise {error}")


day = lambda number: datetime(2025, 6, number, tzinfo=timezone.utc)
usage = statistics(model_name="openai/gpt-4.1 mini:free", start_date=day(1), end_date=day(3), chunks=2)
points = [(point.date, point.prompt_tokens, point.response_tokens, point.summary_tokens) for point in usage.data]
assert points == [(day(1), 0, 0, 0), (day(2), 7, 1, 8)], points
assert (usage.start_date, usage.end_date) == (day(1), day(2)), usage
assert len(statistics(model_name="never seen", start_date=day(1), end_date=day(30)).data) == 29
# Without any query at all, as the client sends it when everything is None.
assert statistics(model_name="gpt-4.1").data[-1].summary_tokens == 0

assert refused(scale_gp.UnprocessableEntityError, model_name="m", chunks=-1)["detail"][0]["loc"] == ["query", "chunks"]
assert refused(scale_gp.UnprocessableEntityError, model_name="m", start_date=day(2), end_date=day(1))["detail"]
assert refused(scale_gp.AuthenticationError, key="wrong", model_name="m") == {"detail": "Unauthorized"}
assert refused(scale_gp.PermissionDeniedError, key=os.environ["WRITER"], model_name="m") == {"detail": "Forbidden"}
print("scale: ok")
