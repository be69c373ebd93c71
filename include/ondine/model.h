// A language model loaded from a GGUF file. Immutable after loading: share it between threads and
// sessions freely.
#ifndef ONDINE_MODEL_H_
#define ONDINE_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine {

using TokenId = std::int32_t;

struct ModelOptions {
  int threads = 0;            // that prepare the weights; 0: one per core
  std::string chat_template;  // a family's name instead of what the file says
};

struct ModelInfo {
  std::string path;
  std::string name;           // general.name
  std::string architecture;   // "llama"
  std::string license;        // general.license, as the file says
  std::string weights;        // type of most weights, "Q4_1", or "w8a8"
  std::string chat_template;  // family, or "" where there is none that is known
  std::int64_t parameters = 0;
  std::int64_t file_bytes = 0;
  std::int64_t weight_bytes = 0;  // resident, prepared for this CPU
  int layers = 0, global_layers = 0, width = 0, heads = 0, kv_heads = 0, head_dim = 0, hidden = 0;
  int window = 0;  // of sliding-window layers; 0: there are none
  std::int64_t vocabulary = 0;
  std::int64_t trained_context = 0;  // tokens
  // Bytes that one more token takes in an f16 cache that keeps everything.
  std::int64_t cache_bytes_per_token = 0;
};

class Model {
 public:
  // Reads and checks the file and prepares the weights for this CPU. Errors: kNotFound, kIo,
  // kCorrupt, kUnsupported (architecture, tokenizer or type), kOutOfMemory.
  static Result<std::shared_ptr<const Model>> Load(const std::string& path,
                                                   const ModelOptions& options = {});
  ~Model();

  const ModelInfo& info() const;

  // `special` turns text such as "<|im_end|>" into its control token: never use it on text from
  // outside. BOS is put first where the model's file asks for it.
  std::vector<TokenId> Tokenize(std::string_view text, bool add_bos = true,
                                bool special = false) const;
  std::string Detokenize(const std::vector<TokenId>& tokens) const;

  // For the library's own use.
  struct Parts;
  const Parts& parts() const { return *parts_; }

 private:
  explicit Model(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ondine

#endif  // ONDINE_MODEL_H_
