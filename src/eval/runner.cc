#include "eval/runner.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "base/stopwatch.h"
#include "base/try.h"
#include "eval/retrieval.h"

namespace ondine::eval {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Runner {
 public:
  Runner(std::shared_ptr<const Model> model, const Task& task, const RunOptions& options)
      : model_(std::move(model)), task_(task), options_(options) {}

  Result<Report> Run() {
    ONDINE_ASSIGN(Session session, Session::Create(model_, options_.session));
    report_.task = task_.name();
    const std::int64_t total =
        options_.limit < 0 ? task_.size() : std::min(options_.limit, task_.size());
    for (std::int64_t i = 0; i < total; ++i) {
      ONDINE_ASSIGN(const Item item, task_.Make(i));
      ONDINE_TRY(RunItem(i, item, session));
      ++report_.documents;
      if (options_.on_progress) options_.on_progress(i + 1, total, Mean());
    }
    Break();
    return std::move(report_);
  }

 private:
  Status RunItem(std::int64_t index, const Item& item, Session& session) {
    if (options_.reading == Reading::kAgnostic) ONDINE_TRY(Read(item.document, "", session));
    for (const Query& query : item.queries) {
      if (options_.reading == Reading::kQuestion) {
        ONDINE_TRY(Read(item.document, query.question, session));
      } else if (options_.reading == Reading::kRetrieval) {
        const std::int64_t slots = options_.session.pot.value_or(PotSettings()).slots;
        ONDINE_TRY(Read(Retrieve(*model_, item.document, query.question, slots - kRoomForQuestion),
                        "", session));
      }
      if (options_.reread.empty()) ONDINE_TRY(Ask(index, query, std::nullopt, session));
      for (const std::int64_t reread : options_.reread) {
        ONDINE_TRY(Ask(index, query, reread, session));
      }
    }
    return {};
  }

  bool asks_repeatedly() const { return options_.reread.size() > 1; }

  // Not where the same question counts already.
  bool Counts(const Answer& answer) const {
    return !asks_repeatedly() || answer.reread == options_.reread.front();
  }

  Status Ask(std::int64_t index, const Query& query, std::optional<std::int64_t> reread,
             Session& session) {
    AskOptions ask{{}, query.prefix, reread};
    ask.generation.max_tokens = query.max_tokens;
    ask.generation.stop_token = options_.stop_token;
    const base::Stopwatch watch(report_.seconds_asking);
    ONDINE_ASSIGN(const ondine::Answer answer, session.Ask(query.question, ask));
    if (answer.finish == FinishReason::kCancelled) {
      return MakeError(ErrorCode::kCancelled, "stopped");
    }
    const std::string text = answer.text.substr(query.prefix.size());
    report_.answers.push_back({index, query, text, task_.Score(query, text), reread});
    return {};
  }

  Status Read(const std::string& document, const std::string& question, Session& session) {
    ReadOptions read;
    read.question = question;
    read.chat_template = options_.chat_template;
    read.stop_token = options_.stop_token;
    const base::Stopwatch watch(report_.seconds_reading);
    ONDINE_TRY(session.Read(*TextFromString(document), read));
    const SessionReport state = session.report();
    report_.tokens_read += state.tokens;
    report_.peak_entries = std::max(report_.peak_entries, state.peak_entries);
    report_.peak_bytes = std::max(report_.peak_bytes, state.peak_bytes);
    return {};
  }

  double Mean() const {
    double sum = 0;
    int n = 0;
    for (const Answer& answer : report_.answers) {
      if (!Counts(answer)) continue;
      sum += answer.score;
      ++n;
    }
    return n == 0 ? 0 : sum / n;
  }

  void Break() {
    std::vector<double> all;
    std::map<std::string, std::map<std::string, std::vector<double>>> scores;
    for (const Answer& answer : report_.answers) {
      if (Counts(answer)) all.push_back(answer.score);
      for (const auto& [label, value] : answer.query.labels) {
        if (Counts(answer)) scores[label][value].push_back(answer.score);
        if (!asks_repeatedly()) continue;
        std::string name = std::to_string(*answer.reread);
        name.append("/").append(value);
        scores["reread/" + label][name].push_back(answer.score);
      }
    }
    report_.total = Summarize(all);
    for (const auto& [label, values] : scores) {
      for (const auto& [value, list] : values) report_.cells[label][value] = Summarize(list);
    }
  }

  // Tokens left free of retrieved text: template, question and answer.
  static constexpr std::int64_t kRoomForQuestion = 192;

  std::shared_ptr<const Model> model_;
  const Task& task_;
  const RunOptions& options_;
  Report report_;
};

}  // namespace

double ShareFound(const Query& query, const std::string& answer) {
  const std::string lower = Lower(answer);
  double found = 0;
  for (const std::string& gold : query.gold) {
    found += lower.find(Lower(gold)) != std::string::npos ? 1 : 0;
  }
  return query.gold.empty() ? 0 : found / static_cast<double>(query.gold.size());
}

Cell Summarize(const std::vector<double>& scores) {
  Cell cell;
  cell.n = static_cast<std::int64_t>(scores.size());
  if (scores.empty()) return cell;
  const auto n = static_cast<double>(scores.size());
  double sum = 0, squares = 0;
  bool binary = true;
  for (double score : scores) {
    sum += score;
    squares += score * score;
    binary = binary && (score == 0 || score == 1);
  }
  const double p = sum / n;
  cell.score = p;
  constexpr double z = 1.959964;
  if (binary) {
    const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    // Exact at the ends, where rounding would leave 6e-17.
    cell.ci95 = {p == 0 ? 0.0 : middle - half, p == 1 ? 1.0 : middle + half};
  } else {
    const double half = n > 1 ? z * std::sqrt(std::max(0.0, squares / n - p * p) / (n - 1)) : 1;
    cell.ci95 = {std::max(0.0, p - half), std::min(1.0, p + half)};
  }
  return cell;
}

Result<Report> RunTask(std::shared_ptr<const Model> model, const Task& task,
                       const RunOptions& options) {
  return Runner(std::move(model), task, options).Run();
}

}  // namespace ondine::eval
