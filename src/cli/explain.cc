#include "cli/explain.h"

#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/file.h"
#include "base/html.h"
#include "base/try.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "text/tokenizer.h"

namespace ondine::cli {
namespace {

// Shares are shown in steps, so that neighbours of one step form one passage.
constexpr int kLevels = 5;

int Level(float share) {
  return share <= 0 ? 0 : std::clamp(static_cast<int>(std::ceil(share * kLevels)), 1, kLevels);
}

// Joins tokens of one level. A character that several tokens make goes with the last of them.
template <typename OnPassage>
class Passages {
 public:
  explicit Passages(OnPassage on_passage) : on_passage_(std::move(on_passage)) {}

  void Add(std::string_view token, float share) {
    const int level = Level(share);
    const std::string characters = stream_.Push(token);
    if (level != level_) Give();
    level_ = level;
    text_ += characters;
    ++tokens_;
    kept_ += level > 0 ? 1 : 0;
    ++total_;
  }
  void Finish() {
    text_ += stream_.Finish();
    Give();
  }
  std::int64_t kept() const { return kept_; }
  std::int64_t total() const { return total_; }

 private:
  void Give() {
    if (tokens_ > 0) on_passage_(text_, level_, tokens_);
    text_.clear();
    tokens_ = 0;
  }

  OnPassage on_passage_;
  base::Utf8Stream stream_;
  std::string text_;
  int level_ = 0;
  std::int64_t tokens_ = 0, kept_ = 0, total_ = 0;
};

constexpr std::string_view kPageHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>What the pot kept</title><style>
body { font: 16px/1.6 Georgia, serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #111; }
main { white-space: pre-wrap; overflow-wrap: anywhere; }
.l0 { color: #999; } .l1 { background: #fdf3d0; } .l2 { background: #fbe3a0; }
.l3 { background: #f8cd6b; } .l4 { background: #f3ad3d; } .l5 { background: #e8871a; }
header span { padding: 0 .4em; }
@media (prefers-color-scheme: dark) {
  body { background: #151515; color: #eee; } .l0 { color: #777; }
  .l1, .l2, .l3, .l4, .l5 { color: #111; } }
</style></head><body><header><h1>What the pot kept</h1><p>Share of heads that still hold a token:
<span class="l0">none</span><span class="l1">up to 20 %</span><span class="l2">40 %</span><span
class="l3">60 %</span><span class="l4">80 %</span><span class="l5">100 %</span></p></header><main>)";

}  // namespace

Status PrintExplanation(const Session& session, TextSource& text) {
  const bool colour = OutputIsTerminal();
  // Shades of the 256-colour table, from grey to bright yellow.
  constexpr int kShades[kLevels + 1] = {0, 242, 250, 229, 227, 226};
  Passages passages([&](const std::string& passage, int level, std::int64_t tokens) {
    if (level == 0) {
      std::cout << (colour ? "\033[2m" : "") << " [" << Grouped(tokens) << " dropped] "
                << (colour ? "\033[0m" : "");
    } else if (colour) {
      std::cout << "\033[38;5;" << kShades[level] << "m" << Visible(passage) << "\033[0m";
    } else {
      std::cout << Visible(passage);
    }
  });
  ONDINE_TRY(session.Explain(
      text, [&](std::string_view token, float share) { passages.Add(token, share); }));
  passages.Finish();
  std::cout << "\n\n"
            << Grouped(passages.kept()) << " of " << Grouped(passages.total())
            << " tokens are held by at least one head.\n";
  return {};
}

Result<nlohmann::json> ExplanationToJson(const Session& session, TextSource& text) {
  nlohmann::json list = nlohmann::json::array();
  Passages passages([&](const std::string& passage, int level, std::int64_t tokens) {
    nlohmann::json& one = list.emplace_back();
    one["share"] = static_cast<double>(level) / kLevels;
    one["tokens"] = tokens;
    if (level > 0) one["text"] = passage;
  });
  ONDINE_TRY(session.Explain(
      text, [&](std::string_view token, float share) { passages.Add(token, share); }));
  passages.Finish();
  return nlohmann::json{
      {"tokens", passages.total()}, {"held", passages.kept()}, {"passages", std::move(list)}};
}

Status WriteExplanation(const Session& session, TextSource& text, const std::string& path) {
  return base::WriteFileAtomically(path, [&](base::FileSink& sink) -> Status {
    Status status = sink.Write(std::as_bytes(std::span(kPageHead)));
    const auto write = [&](std::string_view bytes) {
      if (status) status = sink.Write(std::as_bytes(std::span(bytes)));
    };
    Passages passages([&](const std::string& passage, int level, std::int64_t) {
      write("<span class=\"l" + std::to_string(level) + "\">" + base::EscapeHtml(passage) +
            "</span>");
    });
    ONDINE_TRY(session.Explain(
        text, [&](std::string_view token, float share) { passages.Add(token, share); }));
    passages.Finish();
    write("</main></body></html>\n");
    return status;
  });
}

}  // namespace ondine::cli
