#include "train/checkpoint.h"

#include <torch/serialize.h>

#include <span>
#include <sstream>
#include <utility>

#include "base/file.h"
#include "base/try.h"
#include "train/guard.h"

namespace ondine::train {
namespace {

std::string Key(std::size_t i) {
  return "parameter." + std::to_string(i);
}

Status CheckSettings(const c10::IValue& value, const Settings& now, const std::string& path) {
  std::vector<std::string> entries;
  for (const c10::IValue& entry : value.toListRef()) entries.push_back(entry.toStringRef());
  const Settings made(std::move(entries));
  if (made.entries() == now.entries()) return {};
  return MakeError(ErrorCode::kMismatch,
                   "is of another training: of " + made.Without(now).Text() + "; this one has " +
                       now.Without(made).Text(),
                   path);
}

}  // namespace

Status CheckResume(bool resume, const std::string& path) {
  if (!resume || !path.empty()) return {};
  return MakeError(ErrorCode::kInvalidArgument, "no checkpoint to go on from");
}

Status SaveCheckpoint(const TrainingState& state, const std::string& path,
                      const ProcessGroup& group) {
  if (path.empty() || group.rank() != 0) return {};
  std::string bytes;
  ONDINE_TRY(Guarded([&]() -> Status {
    torch::serialize::OutputArchive archive, optimizer;
    archive.write("settings", c10::IValue(state.settings.entries()));
    archive.write("step", c10::IValue(state.step));
    for (std::size_t i = 0; i < state.parameters.size(); ++i) {
      archive.write(Key(i), state.parameters[i]);
    }
    state.optimizer->save(optimizer);
    archive.write("optimizer", optimizer);
    std::ostringstream stream;
    archive.save_to(stream);
    bytes = std::move(stream).str();
    return {};
  }));
  return base::WriteFileAtomically(
      path, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(bytes))); });
}

tl::unexpected<Error> StopTraining(const TrainingState& state, const std::string& path,
                                   const ProcessGroup& group) {
  Status saved = SaveCheckpoint(state, path, group);
  if (!saved) return tl::make_unexpected(std::move(saved).error());
  return MakeError(ErrorCode::kCancelled, "stopped after step " + std::to_string(state.step) +
                                              (path.empty() ? "" : "; --resume goes on from here"));
}

Status LoadCheckpoint(const std::string& path, TrainingState& state) {
  ONDINE_ASSIGN(const std::string bytes, base::ReadFile(path));
  Status loaded = Guarded([&]() -> Status {
    torch::serialize::InputArchive archive, optimizer;
    archive.load_from(bytes.data(), bytes.size());
    c10::IValue settings, step;
    archive.read("settings", settings);
    archive.read("step", step);
    ONDINE_TRY(CheckSettings(settings, state.settings, path));
    const torch::NoGradGuard no_gradient;
    for (std::size_t i = 0; i < state.parameters.size(); ++i) {
      torch::Tensor parameter;
      archive.read(Key(i), parameter);
      state.parameters[i].copy_(parameter);
    }
    archive.read("optimizer", optimizer);
    state.optimizer->load(optimizer);
    state.step = step.toInt();
    return {};
  });
  if (!loaded && loaded.error().code == ErrorCode::kInternal) {
    return MakeError(ErrorCode::kCorrupt, "is no checkpoint: " + loaded.error().message, path);
  }
  return loaded;
}

}  // namespace ondine::train
