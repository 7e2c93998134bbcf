"""The stages of ``dvc.yaml`` by the kind of their argument."""

PLAIN = (
    "prepare",
    "simulate",
    "datasets",
    "training_configs",
    "severity",
    "transfer",
    "handwriting",
    "compare",
    "report",
    "track",
)
OF_DATASET = ("explore",)
OF_RUN = ("train", "evaluate")
OF_ABLATION = ("ablation", "ablation_result")
CODE = "code"
NAMES = (CODE, *PLAIN, *OF_RUN, *OF_DATASET, *OF_ABLATION)
