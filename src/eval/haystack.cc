#include "eval/haystack.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/try.h"

namespace ondine::eval {

namespace fs = std::filesystem;

Result<std::string> LoadTexts(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return base::ReadFile(path);
  std::vector<std::string> names;
  fs::directory_iterator entry(path, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".txt") names.push_back(entry->path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return MakeError(ErrorCode::kIo, "cannot read the folder: " + error.message(), path);
  }
  if (names.empty()) {
    return MakeError(ErrorCode::kNotFound, "neither a text nor a folder with .txt files", path);
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) {
    ONDINE_ASSIGN(const std::string essay, base::ReadFile(name));
    text += essay + "\n\n";
  }
  return text;
}

Result<std::string> LoadEssays(const std::string& data) {
  const std::string folder = (fs::path(data) / "longctx" / "PaulGrahamEssays").string();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return MakeError(ErrorCode::kNotFound, "no essays found; name the data folder with --data",
                     folder);
  }
  return LoadTexts(folder);
}

Haystack::Haystack(const Model& model, std::string text) : text_(std::move(text)) {
  std::size_t begin = 0;
  while (begin < text_.size()) {
    std::size_t end = text_.find(". ", begin);
    end = end == std::string::npos ? text_.size() : end + 1;
    const std::string sentence = text_.substr(begin, end - begin);
    sentences_.push_back(
        {begin, end - begin, static_cast<std::int64_t>(model.Tokenize(sentence, false).size())});
    begin = end;
  }
}

std::string Haystack::Build(std::int64_t tokens, std::uint64_t seed,
                            const std::map<double, std::string>& inserts) const {
  std::string result;
  std::int64_t so_far = 0;
  auto insert = inserts.begin();
  const auto put_inserts = [&](double depth) {
    for (; insert != inserts.end() && insert->first <= depth; ++insert) result += insert->second;
  };
  std::size_t index = seed % sentences_.size();
  while (so_far < tokens) {
    put_inserts(static_cast<double>(so_far) / static_cast<double>(tokens));
    const Sentence& sentence = sentences_[index];
    result.append(text_, sentence.begin, sentence.length);
    so_far += sentence.tokens;
    index = (index + 1) % sentences_.size();
  }
  put_inserts(1);
  return result;
}

}  // namespace ondine::eval
