#include "ondine/session.h"

#include <algorithm>

#include "base/guarded.h"
#include "base/try.h"
#include "engine/adapter_parts.h"
#include "engine/session_impl.h"

namespace ondine {

Status Session::Impl::MakePot(const PotSettings& settings, std::vector<TokenId> catalyst) {
  Forget();  // first, so that two are never there at once
  ONDINE_ASSIGN(pot_, memory::Pot::Create(parts().decoder, pool_, settings, std::move(catalyst),
                                          parts().sentence_ends, lora_));
  return {};
}

void Session::Impl::Forget() {
  pot_.reset();
  document_.reset();
  talking_ = false;
  question_aware_ = false;
}

Status Session::Impl::SetAdapters(std::vector<ScaledAdapter> adapters) {
  ONDINE_ASSIGN(auto lora, engine::Combine(adapters, *parts().decoder, pool_));
  if (engine::Identity(adapters) != engine::Identity(options_.adapters)) Forget();
  lora_ = std::move(lora);
  options_.adapters = std::move(adapters);
  return {};
}

PotSettings Session::Impl::SettingsOfPot() const {
  if (options_.pot) return *options_.pot;
  PotSettings settings;
  settings.slots = std::min(settings.slots, model_->info().trained_context);
  return settings;
}

PotSettings Session::Impl::SettingsFor(std::int64_t tokens) const {
  PotSettings settings = SettingsOfPot();
  if (options_.pot || tokens > model_->info().trained_context) return settings;
  settings.policy = PotPolicy::kFull;
  settings.slots = tokens;
  return settings;
}

SessionReport Session::Impl::report() const {
  SessionReport report;
  if (!pot_) return report;
  const memory::PotCounters& counters = pot_->counters();
  report.tokens = counters.tokens;
  report.slots = pot_->capacity();
  report.bounded = pot_->settings().policy != PotPolicy::kFull;
  report.entries = pot_->length();
  report.peak_entries = counters.peak_entries;
  report.peak_bytes = std::max(peak_bytes_, static_cast<std::int64_t>(pot_->bytes()));
  report.distillations = counters.distillations;
  report.policy = PotPolicyName(pot_->settings().policy);
  report.question_aware = question_aware_;
  report.seconds_model = counters.seconds_model;
  report.seconds_surprise = counters.seconds_surprise;
  report.seconds_catalyst = counters.seconds_catalyst;
  report.seconds_selection = counters.seconds_selection;
  report.seconds_consolidation = counters.seconds_consolidation;
  return report;
}

Result<Session> Session::Create(std::shared_ptr<const Model> model, const SessionOptions& options) {
  if (model == nullptr) return MakeError(ErrorCode::kInvalidArgument, "a session needs a model");
  return base::Guarded([&]() -> Result<Session> {
    auto impl = std::make_unique<Impl>(std::move(model), options);
    ONDINE_TRY(impl->SetAdapters(options.adapters));
    return Session(std::move(impl));
  });
}

Result<Session> Session::Load(std::shared_ptr<const Model> model, const std::string& path,
                              const SessionOptions& options) {
  ONDINE_ASSIGN(Session session, Create(std::move(model), options));
  ONDINE_TRY(session.impl_->Guarded([&] { return session.impl_->Load(path); }));
  return session;
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Generation> Session::Complete(std::string_view prompt, const GenerationOptions& options,
                                     bool chat) {
  return impl_->Guarded([&] { return impl_->Complete(prompt, options, chat); });
}
Result<Generation> Session::Say(std::string_view message, const GenerationOptions& options,
                                std::string_view system) {
  return impl_->Guarded([&] { return impl_->Say(message, options, system); });
}
void Session::Forget() {
  impl_->Forget();
}
Status Session::CanChat() const {
  return base::Guarded([&] { return impl_->CanChat(); });
}
Status Session::AddTurn(std::string_view message, std::string_view answer, std::string_view system,
                        const StopToken& stop_token) {
  return impl_->Guarded([&] { return impl_->AddTurn(message, answer, system, stop_token); });
}
Status Session::Read(TextSource& text, const ReadOptions& options) {
  return impl_->Guarded([&] { return impl_->Read(text, options); });
}
Result<Answer> Session::Ask(std::string_view question, const AskOptions& options) {
  return impl_->Guarded([&] { return impl_->Ask(question, options); });
}
Status Session::SetAdapters(std::vector<ScaledAdapter> adapters) {
  return impl_->Guarded([&] { return impl_->SetAdapters(std::move(adapters)); });
}
Status Session::Save(const std::string& path) const {
  return base::Guarded([&] { return impl_->Save(path); });
}
Status Session::Explain(TextSource& text,
                        const std::function<void(std::string_view, float)>& on_token) const {
  return base::Guarded([&] { return impl_->Explain(text, on_token); });
}
SessionReport Session::report() const {
  return impl_->report();
}

}  // namespace ondine
