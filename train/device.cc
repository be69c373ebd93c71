#include "train/device.h"

#include "base/quote.h"

namespace ondine::train {

Result<torch::Device> FindDevice(const std::string& name) try {
  const torch::Device device(name);
  torch::zeros({1}, device);
  return device;
} catch (const std::exception&) {
  return MakeError(ErrorCode::kInvalidArgument, base::Quote(name) + " is no device here");
}

}  // namespace ondine::train
