// A conversation with a model: completes, chats, reads documents and answers questions about them.
#ifndef ONDINE_SESSION_H_
#define ONDINE_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/adapter.h"
#include "ondine/generation.h"
#include "ondine/model.h"
#include "ondine/pot.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine {

// Initialised one and all, so that some can be given by name.
struct SessionOptions {
  // Absent: the cache keeps everything while text and answer fit the model's trained context, and
  // is a pot with default settings beyond that.
  std::optional<PotSettings> pot = {};
  std::vector<ScaledAdapter> adapters = {};  // all at once
  int threads = 0;                           // 0: one per core
};

// Text that is read piece by piece, so that its length does not matter.
class TextSource {
 public:
  virtual ~TextSource() = default;
  // The next bytes, any number; empty at the end.
  virtual Result<std::string> Next() = 0;
};

// Files one after the other ("-" is standard input), a blank line between them. Refuses
// directories, binary files and text that is not UTF-8, naming the place; an empty text altogether
// too. Whoever waits for a pipe is freed by the token: kCancelled.
Result<std::unique_ptr<TextSource>> OpenTextFiles(const std::vector<std::string>& paths,
                                                  const StopToken& stop = {});
std::unique_ptr<TextSource> TextFromString(std::string text);
// All of one such file.
Result<std::string> ReadTextFile(const std::string& path, const StopToken& stop = {});

struct ReadProgress {
  std::int64_t tokens = 0;
  double seconds = 0;
  std::int64_t pot_entries = 0;
  std::int64_t pot_slots = 0;
  std::int64_t distillations = 0;
  std::int64_t bytes = 0;  // of text read
};

struct ReadOptions {
  std::string system;  // system message of the conversation that contains the text; may be empty
  // Question-aware reading (CaP-Q): entries are scored by this question instead of the general
  // catalyst. Answers to other questions suffer.
  std::string question;
  bool chat_template = true;  // where the model has one that is known
  // With PotPolicy::kTruncate: slots that stay free for a question and its answer. At most half of
  // the pot; absent: a quarter.
  std::optional<std::int64_t> reserve;
  std::function<void(const ReadProgress&)> on_progress;  // after every few hundred tokens
  StopToken stop_token;
};

struct AskOptions {
  // Initialised one and all, so that {generation} alone can be given.
  GenerationOptions generation = {};
  std::string prefix = {};  // begins the answer and is part of its text
  // Of a text that had to be distilled, the passages that share the question's words are read once
  // more before the answer: as many as make this many tokens. 0: none; absent: an eighth of the
  // pot's slots with PotPolicy::kInfiniPot, else none.
  std::optional<std::int64_t> reread = {};
};

struct Answer : Generation {
  std::vector<std::string> passages;  // that were read once more, in the order of the text
};

struct SessionReport {
  std::int64_t tokens = 0;  // that went through the model, catalysts not counted
  std::int64_t slots = 0;   // of the pot, or of the cache where there is none
  bool bounded = false;     // a pot, not a cache that keeps everything
  std::int64_t entries = 0;
  std::int64_t peak_entries = 0;  // of any global layer and head, catalyst included
  std::int64_t peak_bytes = 0;    // keys, values, entry lists, scoring buffers and archive
  std::int64_t distillations = 0;
  std::string policy;
  bool question_aware = false;
  double seconds_model = 0, seconds_surprise = 0, seconds_catalyst = 0, seconds_selection = 0,
         seconds_consolidation = 0;
};

// Belongs to one thread at a time; callbacks must not call it, and one that was moved from can only
// be assigned to or destroyed. Where the machine's memory runs out (kOutOfMemory), or a callback
// throws, what the session knew may be forgotten.
class Session {
 public:
  static Result<Session> Create(std::shared_ptr<const Model> model,
                                const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Continues `prompt`; what the session knew before is forgotten. With `chat` the prompt is
  // wrapped as a user's message by the model's template.
  Result<Generation> Complete(std::string_view prompt, const GenerationOptions& options,
                              bool chat = false);

  // One turn of a conversation without end: the pot distils itself as it fills. The system message
  // of the first turn counts. Where it is stopped while the message is read (kCancelled), the turn
  // has not been; if the pot had to be distilled for it, the conversation is forgotten.
  Result<Generation> Say(std::string_view message, const GenerationOptions& options,
                         std::string_view system = "");

  // Whether Say() and AddTurn() can work: an error where the model has no chat template that is
  // known, or where the settings of the pot contradict each other.
  Status CanChat() const;

  // The conversation, or the text, is forgotten.
  void Forget();

  // A turn that something else has answered: the conversation goes on from there. Where it is
  // stopped while the message is read, it has not been, as with Say(); of an answer the rest is not
  // read, which is no error.
  Status AddTurn(std::string_view message, std::string_view answer, std::string_view system = "",
                 const StopToken& stop_token = {});

  // Reads a text; what the session knew before is forgotten.
  Status Read(TextSource& text, const ReadOptions& options = {});
  // Answers a question about what was read. The pot is afterwards as it was before: questions do
  // not affect each other.
  Result<Answer> Ask(std::string_view question, const AskOptions& options = {});

  // From now on with these adapters. What was read with others is forgotten; nothing is reloaded.
  Status SetAdapters(std::vector<ScaledAdapter> adapters);

  // A .pot file: the text's distilled memory, to be asked again without reading. Needs Read()
  // first.
  Status Save(const std::string& path) const;
  // kMismatch where the file was made with another model or other adapters, naming what differs.
  // The pot's settings are the file's, not the options'.
  static Result<Session> Load(std::shared_ptr<const Model> model, const std::string& path,
                              const SessionOptions& options = {});

  // Goes through the text that was read, given once more, and tells of every token which share of
  // the KV heads of all layers (0 to 1) still holds it. kInvalidArgument with kTruncate, which
  // keeps the beginning and the end.
  Status Explain(TextSource& text,
                 const std::function<void(std::string_view token, float share)>& on_token) const;
  SessionReport report() const;

  class Impl;

 private:
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ondine

#endif  // ONDINE_SESSION_H_
