"""The base of every settings class: frozen, and a key that nobody reads is an error rather than a silent no-op."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A frozen pydantic model that forbids unknown keys, type coercion and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
