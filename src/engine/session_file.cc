// Pots as files.
#include "base/quote.h"
#include "base/try.h"
#include "engine/adapter_parts.h"
#include "engine/session_impl.h"
#include "formats/pot_file.h"
#include "memory/pot_io.h"

namespace ondine {

Status Session::Impl::Save(const std::string& path) const {
  if (!document_) {
    return MakeError(ErrorCode::kInvalidArgument, "there is nothing to save: read a text first");
  }
  formats::PotFileWriter file;
  file.Set("model.fingerprint", parts().fingerprint);
  file.Set("model.name", model_->info().name);
  file.Set("model.architecture", model_->info().architecture);
  if (const std::string adapters = engine::Identity(options_.adapters); !adapters.empty()) {
    file.Set("model.adapters", adapters);
  }
  file.Set("text.before", document_->before);
  file.Set("text.behind", document_->behind);
  file.Set("text.question_aware", question_aware_);
  memory::PotIo::Describe(*pot_, file);
  return file.Write(path);
}

Status Session::Impl::Load(const std::string& path) {
  ONDINE_ASSIGN(const formats::PotFile file, formats::PotFile::Open(path));
  ONDINE_TRY(file.Expect("model.architecture", model_->info().architecture));
  ONDINE_ASSIGN(const std::string fingerprint, file.GetString("model.fingerprint"));
  if (fingerprint != parts().fingerprint) {
    ONDINE_ASSIGN(const std::string name, file.GetString("model.name"));
    const auto describe = [](const std::string& of, const std::string& print) {
      return base::Quote(of) + " (" + print.substr(0, 8) + ")";
    };
    return MakeError(ErrorCode::kMismatch,
                     "was read by another model, " + describe(name, fingerprint) + ", than " +
                         describe(model_->info().name, parts().fingerprint) +
                         ": load that one with -m, or read the text again",
                     path);
  }
  // Pots that were read without adapters have no such value.
  const std::string adapters = engine::Identity(options_.adapters);
  if (file.values().contains("model.adapters")) {
    ONDINE_TRY(file.Expect("model.adapters", adapters));
  } else if (!adapters.empty()) {
    return MakeError(ErrorCode::kMismatch, "the pot was read without adapters", path);
  }
  engine::Frame frame;
  ONDINE_ASSIGN(frame.before, file.GetString("text.before"));
  ONDINE_ASSIGN(frame.behind, file.GetString("text.behind"));
  ONDINE_ASSIGN(const bool aware, file.GetBool("text.question_aware"));
  ONDINE_ASSIGN(const PotSettings settings, memory::PotIo::ReadSettings(file));
  ONDINE_ASSIGN(auto catalyst, memory::PotIo::ReadCatalyst(file, model_->info().vocabulary));
  if (Status made = MakePot(settings, std::move(catalyst)); !made) {
    Error error = std::move(made).error();
    // Settings that contradict each other are the file's fault here.
    if (error.code == ErrorCode::kInvalidArgument) error.code = ErrorCode::kCorrupt;
    error.context = path;
    return tl::make_unexpected(std::move(error));
  }
  ONDINE_TRY(memory::PotIo::Restore(file, *pot_));
  document_ = std::move(frame);
  question_aware_ = aware;
  return {};
}

}  // namespace ondine
