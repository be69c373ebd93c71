// Texts of any length, read in pieces.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>

#include "base/guarded.h"
#include "base/input_file.h"
#include "base/try.h"
#include "base/utf8.h"
#include "ondine/session.h"

namespace ondine {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

class StringSource : public TextSource {
 public:
  explicit StringSource(std::string text) : text_(std::move(text)) {}
  Result<std::string> Next() override {
    std::size_t end = std::min(text_.size(), begin_ + kPieceBytes);
    // Not inside a character.
    for (int i = 0; i < 3 && end < text_.size() && (text_[end] & 0xC0) == 0x80; ++i) --end;
    const std::size_t begin = std::exchange(begin_, end);
    return text_.substr(begin, end - begin);
  }

 private:
  std::string text_;
  std::size_t begin_ = 0;  // of the next piece
};

class FileSource : public TextSource {
 public:
  FileSource(std::vector<std::string> paths, StopToken stop)
      : paths_(std::move(paths)), stop_(std::move(stop)) {}

  Result<std::string> Next() override {
    while (true) {
      if (!file_.is_open()) {
        if (next_ == paths_.size()) return Finish();
        ONDINE_ASSIGN(file_, base::InputFile::Open(paths_[next_]));
        offset_ = 0;
        if (next_++ > 0) return std::string("\n\n");
      }
      std::string piece = std::exchange(incomplete_, std::string());
      const std::size_t kept = piece.size();
      piece.resize(kept + kPieceBytes);
      ONDINE_ASSIGN(const std::size_t got,
                    file_.Read(std::as_writable_bytes(std::span(piece).subspan(kept)), stop_));
      piece.resize(kept + got);
      ONDINE_TRY(Check(piece, got == 0));
      if (got == 0) file_ = base::InputFile();
      total_ += piece.size();
      if (!piece.empty()) return piece;
    }
  }

 private:
  // Refuses what is no text. A character cut off by the piece's end is put back, unless it is the
  // file's end.
  Status Check(std::string& piece, bool at_end) {
    const std::string& path = paths_[next_ - 1];
    if (piece.find('\0') != std::string::npos) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "is a binary file (it has a zero byte); give plain UTF-8 text", path);
    }
    const std::string_view whole = piece;
    std::size_t complete = 0;
    while (complete < piece.size()) {
      const std::string_view rest = whole.substr(complete);
      const std::size_t length = base::CharacterLength(rest);
      if (length == 0) {
        if (!at_end && base::IsCharacterPrefix(rest)) break;
        return MakeError(ErrorCode::kInvalidArgument,
                         "is not UTF-8 text (at byte " + std::to_string(offset_ + complete) +
                             "); convert it first, for example with: iconv -f latin1 -t utf-8",
                         path);
      }
      complete += length;
    }
    incomplete_ = piece.substr(complete);
    piece.resize(complete);
    offset_ += piece.size();
    return {};
  }

  Result<std::string> Finish() const {
    if (total_ == 0) {
      return MakeError(ErrorCode::kInvalidArgument, "the text is empty",
                       paths_.size() == 1 ? paths_[0] : "");
    }
    return std::string();
  }

  std::vector<std::string> paths_;
  StopToken stop_;
  std::size_t next_ = 0;  // path to open next
  base::InputFile file_;
  std::string incomplete_;    // first bytes of a character whose rest is still to come
  std::uint64_t offset_ = 0;  // in the current file
  std::uint64_t total_ = 0;
};

}  // namespace

Result<std::unique_ptr<TextSource>> OpenTextFiles(const std::vector<std::string>& paths,
                                                  const StopToken& stop) {
  if (paths.empty()) return MakeError(ErrorCode::kInvalidArgument, "no text to read");
  return base::Guarded([&]() -> Result<std::unique_ptr<TextSource>> {
    // Before minutes of reading: is the last file there at all?
    for (const std::string& path : paths) {
      // Who writes into a named pipe would notice if it were opened and closed again.
      std::error_code ignored;
      if (path == "-" || std::filesystem::is_fifo(path, ignored)) continue;
      ONDINE_TRY(base::InputFile::Open(path));
    }
    return std::make_unique<FileSource>(paths, stop);
  });
}

std::unique_ptr<TextSource> TextFromString(std::string text) {
  return std::make_unique<StringSource>(std::move(text));
}

Result<std::string> ReadTextFile(const std::string& path, const StopToken& stop) {
  const auto read = [&]() -> Result<std::string> {
    ONDINE_ASSIGN(const auto source, OpenTextFiles({path}, stop));
    std::string text;
    while (true) {
      ONDINE_ASSIGN(const std::string piece, source->Next());
      if (piece.empty()) return text;
      text += piece;
    }
  };
  return base::Guarded(read, "the text is larger than the memory there is", path);
}

}  // namespace ondine
