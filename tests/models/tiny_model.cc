#include "models/tiny_model.h"

#include <list>
#include <random>
#include <span>
#include <vector>

#include "base/utf8.h"
#include "formats/gguf.h"

namespace ondine::testing {
namespace {

using formats::GgufValue;
using formats::GgufWriter;
using formats::TensorType;

// Other programs insist on unsigned integers here.
GgufValue Count(int value) {
  return static_cast<std::uint64_t>(value);
}

class Writer {
 public:
  explicit Writer(const TinyModel& model) : model_(model), random_(model.seed) {}

  Status Write(const std::string& path) {
    SetHyperparameters();
    SetTokenizer();
    AddTensors();
    return file_.Write(path);
  }

 private:
  void Set(const std::string& name, GgufValue value) {
    file_.Set(model_.architecture + "." + name, std::move(value));
  }

  void SetHyperparameters() {
    file_.Set("general.architecture", model_.architecture);
    file_.Set("general.name", std::string("tiny"));
    Set("block_count", Count(model_.layers));
    Set("context_length", Count(kContext));
    Set("embedding_length", Count(model_.width));
    Set("feed_forward_length", Count(model_.hidden));
    Set("attention.head_count", Count(model_.heads));
    Set("attention.head_count_kv", Count(model_.kv_heads));
    Set("attention.key_length", Count(model_.head_dim));
    Set("attention.value_length", Count(model_.head_dim));
    if (gpt2()) {
      Set("attention.layer_norm_epsilon", 1e-5);
    } else {
      Set("attention.layer_norm_rms_epsilon", 1e-5);
      Set("rope.freq_base", 10000.0);
      Set("rope.dimension_count", Count(model_.head_dim));
    }
    if (model_.window > 0) Set("attention.sliding_window", Count(model_.window));
  }

  // GPT-2's alphabet: printable bytes stand for themselves, the others for U+0100 and up.
  void SetTokenizer() {
    std::vector<std::string> tokens;
    std::vector<std::int64_t> types;
    std::uint32_t next = 0x100;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                             (byte >= 0xAE && byte <= 0xFF);
      std::string token;
      base::AppendUtf8(printable ? byte : next++, token);
      tokens.push_back(token);
      types.push_back(1);  // normal
    }
    tokens.push_back("<|endoftext|>");
    types.push_back(3);  // control
    for (int i = 0; i < model_.extra_tokens; ++i) {
      tokens.push_back("<extra " + std::to_string(i) + ">");
      types.push_back(3);
    }
    std::vector<std::string> merges;
    if (!model_.merged.empty()) {
      tokens.push_back(model_.merged);
      types.push_back(1);
      merges.push_back(model_.merged.substr(0, 1) + " " + model_.merged.substr(1));
    }
    file_.Set("tokenizer.ggml.model", std::string("gpt2"));
    file_.Set("tokenizer.ggml.pre", std::string("gpt-2"));
    file_.Set("tokenizer.ggml.tokens", tokens);
    file_.Set("tokenizer.ggml.token_type", types);
    file_.Set("tokenizer.ggml.merges", merges);
    file_.Set("tokenizer.ggml.eos_token_id", Count(256));
    file_.Set("tokenizer.ggml.bos_token_id", Count(256));
    file_.Set("tokenizer.ggml.add_bos_token", false);
  }

  // Uniform in [-1, 1) times `scale`, plus `offset`. Not a standard distribution: those differ
  // between libraries.
  void Add(const std::string& name, std::int64_t in, std::int64_t out, float scale,
           float offset = 0) {
    std::vector<float>& values = tensors_.emplace_back(static_cast<std::size_t>(in * out));
    for (float& value : values) {
      value = (static_cast<float>(random_() >> 8) * 0x1p-23f - 1.0f) * scale + offset;
    }
    const std::int64_t shape[2] = {in, out};
    file_.Add(name, TensorType::kF32, std::span(shape, out > 1 ? 2 : 1),
              std::as_bytes(std::span(values)));
  }

  void AddTensors() {
    const TinyModel& m = model_;
    const int queries = m.heads * m.head_dim, keys = m.kv_heads * m.head_dim;
    const bool gemma = m.architecture == "gemma3";
    const int vocabulary = kTinyVocabulary + m.extra_tokens + (m.merged.empty() ? 0 : 1);
    Add("token_embd.weight", m.width, vocabulary, 0.6f);
    if (m.separate_head) Add("output.weight", m.width, vocabulary, 0.3f);
    Add("output_norm.weight", m.width, 1, 0.2f, 1.0f);
    if (gpt2()) {
      Add("output_norm.bias", m.width, 1, 0.2f);
      Add("position_embd.weight", m.width, kContext, 0.3f);
    }
    if (m.rope_factors) Add("rope_freqs.weight", m.head_dim / 2, 1, 1.5f, 2.6f);
    for (int i = 0; i < m.layers; ++i) {
      const std::string p = "blk." + std::to_string(i) + ".";
      if (gpt2()) {
        AddGpt2Layer(p);
        continue;
      }
      Add(p + "attn_norm.weight", m.width, 1, 0.2f, 1.0f);
      Add(p + "attn_q.weight", m.width, queries, 0.3f);
      Add(p + "attn_k.weight", m.width, keys, 0.3f);
      Add(p + "attn_v.weight", m.width, keys, 0.3f);
      Add(p + "attn_output.weight", queries, m.width, 0.2f);
      if (m.architecture == "qwen2") {
        Add(p + "attn_q.bias", queries, 1, 0.5f);
        Add(p + "attn_k.bias", keys, 1, 0.5f);
        Add(p + "attn_v.bias", keys, 1, 0.5f);
      }
      if (m.architecture == "qwen3" || gemma) {
        Add(p + "attn_q_norm.weight", m.head_dim, 1, 0.2f, 1.0f);
        Add(p + "attn_k_norm.weight", m.head_dim, 1, 0.2f, 1.0f);
      }
      if (gemma) {
        Add(p + "post_attention_norm.weight", m.width, 1, 0.2f, 1.0f);
        Add(p + "post_ffw_norm.weight", m.width, 1, 0.2f, 1.0f);
      }
      Add(p + "ffn_norm.weight", m.width, 1, 0.2f, 1.0f);
      Add(p + "ffn_gate.weight", m.width, m.hidden, 0.3f);
      Add(p + "ffn_up.weight", m.width, m.hidden, 0.3f);
      Add(p + "ffn_down.weight", m.hidden, m.width, 0.2f);
    }
  }

  void AddGpt2Layer(const std::string& p) {
    const TinyModel& m = model_;
    for (const char* norm : {"attn_norm", "ffn_norm"}) {
      Add(p + norm + ".weight", m.width, 1, 0.2f, 1.0f);
      Add(p + norm + ".bias", m.width, 1, 0.2f);
    }
    const auto add = [&](const char* name, int in, int out, float scale) {
      Add(p + name + ".weight", in, out, scale);
      Add(p + name + ".bias", out, 1, 0.3f);
    };
    const int queries = m.heads * m.head_dim;
    add("attn_qkv", m.width, queries + 2 * m.kv_heads * m.head_dim, 0.3f);
    add("attn_output", queries, m.width, 0.2f);
    add("ffn_up", m.width, m.hidden, 0.3f);
    add("ffn_down", m.hidden, m.width, 0.2f);
  }

  bool gpt2() const { return model_.architecture == "gpt2"; }

  static constexpr int kContext = 512;
  const TinyModel& model_;
  std::mt19937 random_;
  GgufWriter file_;
  std::list<std::vector<float>> tensors_;  // alive until written
};

}  // namespace

Status WriteTinyModel(const TinyModel& model, const std::string& path) {
  return Writer(model).Write(path);
}

}  // namespace ondine::testing
