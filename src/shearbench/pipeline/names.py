"""The stages of ``dvc.yaml`` by what they are called with."""

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
)
OF_DATASET = ("explore",)
OF_RUN = ("train", "evaluate")
OF_ABLATION = ("ablation", "ablation_result")
MIRRORED = ("explore", "train", "evaluate", "ablation_result", "handwriting", "compare", "report")
CODE = "code"
NAMES = (CODE, *PLAIN, *OF_RUN, *OF_DATASET, *OF_ABLATION)
