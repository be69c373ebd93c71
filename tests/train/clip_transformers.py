#!/usr/bin/env python3
"""Writes the vectors of clip_vectors.h: those of transformers' CLIPModel with weights that the test makes too.

  tests/train/clip_transformers.py > tests/train/clip_vectors.h

Needs torch and transformers.
"""

import torch
from transformers import CLIPConfig, CLIPModel

PROJECTION, VOCABULARY, CONTEXT, IMAGE, PATCH = 8, 40, 10, 12, 4
TEXT = dict(layers=2, width=16, heads=2, hidden=40)
PICTURE = dict(layers=3, width=24, heads=3, hidden=48)
END = VOCABULARY - 1
TEXTS = [[38, 5, 6, 7, 30, 2, END], [38, 9, END]]


def noise(seed, count):
    """Numbers from -1 to 1."""
    bits = (torch.arange(count, dtype=torch.int64) + seed * 1000003) * 2654435761 % 2**32
    bits = (bits ^ bits >> 15) * 2246822519 % 2**32
    bits = bits ^ bits >> 13
    return (bits.double() / 2**31 - 1).float()


def values(name, count):
    """Of a tensor by its name in GGUF files."""
    some = noise(sum(name.encode()), count)
    norm = "ln" in name and name.endswith(".weight")
    return 1 + 0.3 * some if norm else 0.3 * some


def names():
    """Ours by theirs."""
    pairs = {"text_model.embeddings.token_embedding.weight": "t.token_embd.weight",
             "text_model.embeddings.position_embedding.weight": "t.position_embd.weight",
             "vision_model.embeddings.class_embedding": "v.class_embd",
             "vision_model.embeddings.patch_embedding.weight": "v.patch_embd.weight",
             "vision_model.embeddings.position_embedding.weight": "v.position_embd.weight",
             "text_projection.weight": "text_projection.weight",
             "visual_projection.weight": "visual_projection.weight"}
    for part in ("weight", "bias"):
        pairs[f"text_model.final_layer_norm.{part}"] = f"t.post_ln.{part}"
        pairs[f"vision_model.pre_layrnorm.{part}"] = f"v.pre_ln.{part}"
        pairs[f"vision_model.post_layernorm.{part}"] = f"v.post_ln.{part}"
        for theirs, ours, layers in (("text_model", "t", TEXT["layers"]),
                                     ("vision_model", "v", PICTURE["layers"])):
            for i in range(layers):
                for their, our in (("layer_norm1", "ln1"), ("layer_norm2", "ln2"),
                                   ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"),
                                   ("self_attn.v_proj", "attn_v"),
                                   ("self_attn.out_proj", "attn_out"), ("mlp.fc1", "ffn_up"),
                                   ("mlp.fc2", "ffn_down")):
                    pairs[f"{theirs}.encoder.layers.{i}.{their}.{part}"] = f"{ours}.blk.{i}.{our}.{part}"
    return pairs


def vectors(activation):
    def tower(sizes):
        return dict(hidden_size=sizes["width"], num_hidden_layers=sizes["layers"],
                    num_attention_heads=sizes["heads"], intermediate_size=sizes["hidden"],
                    hidden_act=activation, projection_dim=PROJECTION)
    model = CLIPModel(CLIPConfig(
        text_config=dict(tower(TEXT), vocab_size=VOCABULARY, max_position_embeddings=CONTEXT,
                         eos_token_id=END, bos_token_id=38, pad_token_id=0),
        vision_config=dict(tower(PICTURE), image_size=IMAGE, patch_size=PATCH),
        projection_dim=PROJECTION)).eval()
    state = {theirs: values(ours, model.state_dict()[theirs].numel())
             .reshape(model.state_dict()[theirs].shape) for theirs, ours in names().items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name == "logit_scale" or name.endswith("position_ids") for name in missing), missing
    longest = max(map(len, TEXTS))
    tokens = torch.tensor([text + [0] * (longest - len(text)) for text in TEXTS])
    pixels = noise(0, 2 * 3 * IMAGE * IMAGE)
    with torch.no_grad():
        out = model(input_ids=tokens, pixel_values=pixels.reshape(2, 3, IMAGE, IMAGE))
    return out.text_embeds.flatten().tolist(), out.image_embeds.flatten().tolist()


def array(name, numbers):
    print(f"inline constexpr float {name}[] = {{")
    for i in range(0, len(numbers), 8):
        print("    " + " ".join(f"{n:.7f}f," for n in numbers[i:i + 8]))
    print("};")


def main():
    print("// Made by clip_transformers.py; vectors of two texts and two pictures, one after the other.")
    print("#ifndef ONDINE_TESTS_TRAIN_CLIP_VECTORS_H_\n#define ONDINE_TESTS_TRAIN_CLIP_VECTORS_H_\n")
    print("namespace ondine::testing {\n\n// clang-format off")
    for activation, suffix in (("quick_gelu", "QuickGelu"), ("gelu", "Gelu")):
        texts, pictures = vectors(activation)
        array("kTexts" + suffix, texts)
        array("kPictures" + suffix, pictures)
    print("// clang-format on\n\n}  // namespace ondine::testing\n\n#endif  // ONDINE_TESTS_TRAIN_CLIP_VECTORS_H_")


if __name__ == "__main__":
    main()
