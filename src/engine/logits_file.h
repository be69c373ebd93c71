// Files of log-probabilities, in the form of llama-perplexity's --kl-divergence-base, so that
// either program can be compared with the other. docs/formats/logits.md
#ifndef ONDINE_SRC_ENGINE_LOGITS_FILE_H_
#define ONDINE_SRC_ENGINE_LOGITS_FILE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "ondine/model.h"
#include "ondine/result.h"

namespace ondine::engine {

// Log-probabilities below it are stored as it.
inline constexpr double kLogProbabilityFloor = -16;

struct LogitsHeader {
  std::int64_t context = 0;  // tokens of a chunk
  std::int64_t vocabulary = 0;
  std::int64_t chunks = 0;
};

class LogitsWriter {
 public:
  // `tokens`: of all chunks, before BOS is put in.
  static Status WriteHeader(base::FileSink& sink, const LogitsHeader& header,
                            std::span<const TokenId> tokens);
  // One scored position: logits and the log of the sum of their exponentials. Values are kept to 16
  // bits over a range of at most 16 nats below the largest.
  Status WriteRow(base::FileSink& sink, std::span<const float> logits, float log_sum);

 private:
  std::vector<std::byte> row_;
};

class LogitsReader {
 public:
  // kMismatch where the file is of another text, vocabulary or cut.
  static Result<LogitsReader> Open(const std::string& path, const LogitsHeader& header,
                                   std::span<const TokenId> tokens);
  // The same from memory, which must outlive the object; `name` stands in error messages.
  static Result<LogitsReader> Parse(std::span<const std::byte> bytes, const std::string& name,
                                    const LogitsHeader& header, std::span<const TokenId> tokens);
  // Log-probabilities [vocabulary] of the next scored position; valid until the next call. Errors:
  // kCorrupt.
  Result<std::span<const float>> Next();

 private:
  LogitsReader(std::span<const std::byte> bytes, std::string path, std::int64_t vocabulary,
               std::size_t offset)
      : bytes_(bytes),
        path_(std::move(path)),
        offset_(offset),
        row_(static_cast<std::size_t>(vocabulary)) {}

  base::MappedFile file_;  // none where the bytes are somebody else's
  std::span<const std::byte> bytes_;
  std::string path_;
  std::size_t offset_;
  std::vector<float> row_;
};

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_LOGITS_FILE_H_
