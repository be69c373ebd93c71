#include "train/process_group.h"

#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#ifndef USE_C10D_GLOO  // some builds of torch set it for those who use them
#define USE_C10D_GLOO
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "base/try.h"
#include "train/guard.h"

namespace ondine::train {

struct ProcessGroup::Backend {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

ProcessGroup::ProcessGroup() = default;
ProcessGroup::ProcessGroup(ProcessGroup&&) noexcept = default;
ProcessGroup& ProcessGroup::operator=(ProcessGroup&&) noexcept = default;
ProcessGroup::~ProcessGroup() = default;

namespace {

std::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<int> Number(const char* name, int low, int high) {
  const std::string_view text = Variable(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "is \"" + std::string(text) + "\"; expected a number from " +
                         std::to_string(low) + " to " + std::to_string(high),
                     std::string("environment variable ") + name);
  }
  return value;
}

}  // namespace

Result<ProcessGroup> ProcessGroup::FromEnvironment() {
  ProcessGroup group;
  if (Variable("WORLD_SIZE").empty()) return group;
  ONDINE_ASSIGN(group.size_, Number("WORLD_SIZE", 1, 1 << 16));
  if (group.size_ == 1) return group;
  ONDINE_ASSIGN(group.rank_, Number("RANK", 0, group.size_ - 1));
  ONDINE_ASSIGN(const int port, Number("MASTER_PORT", 1, 65535));
  const std::string host(Variable("MASTER_ADDR"));
  if (host.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "is not set", "environment variable MASTER_ADDR");
  }
  Status met = Guarded([&]() -> Status {
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(port);
    // torchrun may keep the meeting place itself.
    options.isServer = group.rank_ == 0 && Variable("TORCHELASTIC_USE_AGENT_STORE") != "True";
    options.numWorkers = static_cast<std::size_t>(group.size_);
    const auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    const auto gloo_options = c10d::ProcessGroupGloo::Options::create();
    gloo_options->devices.push_back(
        host == "127.0.0.1" || host == "localhost"
            ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
            : c10d::ProcessGroupGloo::createDefaultDevice());
    group.backend_ = std::make_unique<Backend>();
    group.backend_->gloo =
        c10::make_intrusive<c10d::ProcessGroupGloo>(store, group.rank_, group.size_, gloo_options);
    return {};
  });
  if (!met) {
    return MakeError(ErrorCode::kIo, "the processes did not meet: " + met.error().message,
                     host + ":" + std::to_string(port));
  }
  return group;
}

void ProcessGroup::Sum(torch::Tensor& values) const {
  if (backend_ == nullptr) return;
  const torch::NoGradGuard no_gradient;
  std::vector<torch::Tensor> tensors = {values.to(torch::kCPU)};
  backend_->gloo->allreduce(tensors)->wait();
  values = tensors.front().to(values.device());
}

bool ProcessGroup::Any(bool here) const {
  torch::Tensor count = torch::tensor(here ? 1.0 : 0.0);
  Sum(count);
  return count.item<double>() > 0;
}

}  // namespace ondine::train
