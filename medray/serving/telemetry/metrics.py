"""The metrics of the service, and the words that requests are counted by."""

from prometheus_client import Counter, Gauge, Histogram

from medray.serving.telemetry.spec import Spec

OTHER = "other"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MODEL = "/v2/models/{name}"
ROUTES = (
    "/", "/predict", "/metadata", "/metrics", "/docs", "/openapi.json", "/admin/ensemble", "/v2",
    "/v2/health/live", "/v2/health/ready", MODEL, f"{MODEL}/ready", f"{MODEL}/infer",
    *(f"{MODEL}/versions/{{version}}{end}" for end in ("", "/ready", "/infer")),
)  # fmt: skip
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
IMAGES = tuple(float(2**power) for power in range(8))
TENTHS = tuple(tenth / 10 for tenth in range(1, 11))

BILLION = 10**9
REQUESTS = Spec("medray_requests_total", Counter, "Requests answered.", ("route", "method", "status"))
ERRORS = Spec("medray_errors_total", Counter, "Requests answered by a problem, by its kind.", ("problem",))
REQUEST_SECONDS = Spec(
    "medray_request_seconds", Histogram, "Seconds until the end of an answer.", ("route",), SECONDS, BILLION
)
BATCH = Spec("medray_batch_images", Histogram, "Images computed at once.", (), IMAGES)
PREDICTIONS = Spec("medray_predictions_total", Counter, "Images by their likeliest class.", ("class",))
CONFIDENCE = Spec("medray_confidence", Histogram, "Probability of the likeliest class.", (), TENTHS, BILLION)
FLAGS = Spec("medray_flags_total", Counter, "Flags that answers carried.", ("flag",))
REFUSALS = Spec("medray_refusals_total", Counter, "What was refused, by the reason.", ("reason",))
QUEUED = Spec("medray_queued_images", Gauge, "Images that wait to be computed.")
IN_FLIGHT = Spec("medray_in_flight", Gauge, "Requests being answered.")
MODEL_INFO = Spec("medray_model_info", Gauge, "1 for each model served.", ("name", "version"), add=max)
_ALL = (
    REQUESTS, ERRORS, REQUEST_SECONDS, BATCH, PREDICTIONS, CONFIDENCE, FLAGS, REFUSALS, QUEUED, IN_FLIGHT,
    MODEL_INFO,
)  # fmt: skip
SPECS = {spec.name: spec for spec in _ALL}
