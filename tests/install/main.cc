// Compiles against the installed headers alone, and links only where nothing is missing that any
// part of the installed library needs. Without argument, everything it asks for is missing; with a
// model file, it also completes a text.
#include <cstdio>
#include <optional>
#include <utility>

#include "ondine/adapter_pool.h"
#include "ondine/hybrid.h"
#include "ondine/images.h"
#include "ondine/model.h"
#include "ondine/pool_server.h"
#include "ondine/quantization.h"
#include "ondine/server.h"
#include "ondine/session.h"

using ondine::ErrorCode;

template <typename T>
static bool Refused(const ondine::Result<T>& result, ErrorCode code) {
  return !result && result.error().code == code;
}

int main(int argc, char** argv) {
  constexpr const char* kNone = "no/such/file";
  if (!Refused(ondine::Model::Load(kNone), ErrorCode::kNotFound) ||
      !Refused(ondine::Quantize(kNone, kNone, {}), ErrorCode::kNotFound) ||
      !Refused(ondine::Clip::Load(kNone), ErrorCode::kNotFound) ||
      !Refused(ondine::PhotoLibrary::Open(kNone), ErrorCode::kNotFound) ||
      !Refused(ondine::Server::Create({.url = "https://host/v1", .certificates = kNone}),
               ErrorCode::kNotFound) ||
      !Refused(ondine::PoolServer::Create(nullptr), ErrorCode::kInvalidArgument)) {
    return 1;
  }
  if (argc < 2) return 0;

  const auto model = ondine::Model::Load(argv[1]);
  if (!model) return 1;
  if (!Refused(ondine::AdapterPool::Load(*model, kNone), ErrorCode::kNotFound)) return 1;
  auto session = ondine::Session::Create(*model);
  if (!session) return 1;
  ondine::GenerationOptions options;
  options.max_tokens = 4;
  const auto answer = session->Complete("The quick brown fox", options);
  if (!answer || answer->tokens_generated != 4) return 1;
  std::puts(answer->text.c_str());
  const auto chat = ondine::HybridChat::Create(std::move(*session), std::nullopt, {});
  return Refused(chat, ErrorCode::kInvalidArgument) ? 0 : 1;
}
