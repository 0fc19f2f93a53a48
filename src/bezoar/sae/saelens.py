"""What SAELens' ``cfg.json`` says, in our words and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bezoar.errors import SAEError, SiteError
from bezoar.models import Site
from bezoar.sae.info import SAEInfo

_OURS = {"standard": "relu", "topk": "topk", "jumprelu": "jumprelu", "gated": "gated"}
_HOOKS = {
    "resid_pre": "hook_resid_pre",
    "resid_mid": "hook_resid_mid",
    "resid_post": "hook_resid_post",
    "attn_out": "hook_attn_out",
    "mlp_out": "hook_mlp_out",
    "z": "attn.hook_z",
    "mlp_pre": "mlp.hook_pre",
    "mlp_gate": "mlp.hook_gate",
    "mlp_up": "mlp.hook_pre_linear",
    "mlp_post": "mlp.hook_post",
    "embed": "hook_embed",
    "unembed_in": "unembed.hook_in",
}


def describe(info: SAEInfo, architecture: str) -> dict[str, Any]:
    """The fields that every autoencoder has in ``cfg.json``.

    Args:
        info: of the autoencoder.
        architecture: SAELens' name of it.
    """
    return {
        "architecture": architecture,
        "d_in": info.d_model,
        "d_sae": info.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "hook_z" if info.site.endswith(".z") else "none",
        "metadata": {
            "model_name": info.model,
            "hook_name": hook_name(info.site),
            "trained_by": "bezoar",
        },
    }


def hook_name(site: str) -> str:
    """TransformerLens' name of a site; the site as it is where there is none."""
    try:
        found = Site.parse(site)
    except SiteError:
        return site
    name = _HOOKS.get(found.point)
    if name is None or found.layer is None:
        return name or site
    return f"blocks.{found.layer}.{name}"


def understand(
    config: Mapping[str, Any], tensors: dict[str, Tensor]
) -> tuple[SAEInfo, dict[str, Tensor]]:
    """An autoencoder that SAELens wrote (version 3 to 6), as ours.

    An encoder ``x W_enc + b_enc`` that does not subtract the decoder's bias becomes one that does,
    with ``b_enc + b_dec W_enc`` for its own.

    Raises:
        SAEError: if it does what ours do not.
    """
    name = str(config.get("architecture", "standard"))
    options: dict[str, float | int | str] = {}
    if name == "topk" or (name == "standard" and config.get("activation_fn_str") == "topk"):
        name = "topk"
        k = config.get("k", (config.get("activation_fn_kwargs") or {}).get("k"))
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise SAEError(f"cfg.json says topk and k={k!r}.", hint="Is it whole?")
        options["k"] = k
    if name not in _OURS:
        raise SAEError(
            f"cfg.json names the architecture {name!r}, which cannot be read.",
            hint=f"Known: {', '.join(_OURS)}; training checkpoints must be saved for inference.",
        )
    _refuse(config, tensors)
    tensors = _told_apart(name, config, tensors)
    about = config.get("metadata") or config.get("meta") or config
    hook = str(about.get("hook_name") or "")
    try:
        site = str(Site.parse(hook))
    except SiteError:
        site = hook
    d_sae, d_model = tensors["W_dec"].shape
    info = SAEInfo(
        _OURS[name],
        site,
        d_model,
        d_sae,
        options,
        model=str(about.get("model_name") or ""),
        trained_on=str(about.get("dataset_path") or ""),
    )
    return info, tensors


def _refuse(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    norm = config.get("normalize_activations", "none")
    if norm not in ("none", None):
        raise SAEError(
            f"cfg.json says normalize_activations={norm!r}, which is not part of the weights.",
            hint="Fold it into them with SAELens and save again, where its kind allows that.",
        )
    if config.get("finetuning_scaling_factor") and "scaling_factor" in tensors:
        raise SAEError(
            "cfg.json says finetuning_scaling_factor=true, which ours do not have.",
            hint="Multiply W_dec by scaling_factor, one a latent, and save again without it.",
        )


def _told_apart(
    name: str, config: Mapping[str, Any], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights under their names, with the decoder's bias subtracted from the inputs."""
    wanted = {"W_enc", "W_dec", "b_dec"}
    wanted |= {"b_gate", "b_mag", "r_mag"} if name == "gated" else {"b_enc"}
    wanted |= {"threshold"} if name == "jumprelu" else set()
    missing = sorted(wanted - set(tensors))
    if missing or tensors["W_dec"].ndim != 2:
        raise SAEError(
            f"An autoencoder of kind {name!r} without {', '.join(missing) or 'a decoder matrix'}.",
            hint="Is sae_weights.safetensors that of another one?",
        )
    found = {key: tensors[key] for key in wanted}
    d_sae, d_model = found["W_dec"].shape
    if found["W_enc"].shape != (d_model, d_sae) or found["b_dec"].shape != (d_model,):
        raise SAEError(
            f"W_enc has shape {tuple(found['W_enc'].shape)} and W_dec {(d_sae, d_model)}.",
            hint="W_enc is [d_in d_sae], W_dec is [d_sae d_in].",
        )
    if config.get("rescale_acts_by_decoder_norm"):
        norms = found["W_dec"].norm(dim=1)
        found["W_enc"], found["b_enc"] = found["W_enc"] * norms, found["b_enc"] * norms
        found["W_dec"] = found["W_dec"] / norms[:, None].clamp_min(1e-30)
    if not config.get("apply_b_dec_to_input", True):
        shift = found["b_dec"] @ found["W_enc"]
        if name == "gated":
            found["b_gate"] = found["b_gate"] + shift
            found["b_mag"] = found["b_mag"] + shift * found["r_mag"].exp()
        else:
            found["b_enc"] = found["b_enc"] + shift
    return found
