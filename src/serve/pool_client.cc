#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "adapters/feature.h"
#include "base/file.h"
#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "engine/adapter_parts.h"
#include "engine/model_parts.h"
#include "models/base_fingerprint.h"
#include "ondine/pool_server.h"
#include "serve/http_client.h"
#include "serve/pool_message.h"

namespace ondine {
namespace {

constexpr std::size_t kMostWordsBytes = 4096;
constexpr std::size_t kMostOutlineBytes = std::size_t{1} << 26;
constexpr std::size_t kMostAdapterBytes = std::size_t{1} << 30;

// The body of an answer with status 200.
Result<std::string> Fetch(const serve::HttpRequest& request, std::size_t most_bytes,
                          const StopToken& stop) {
  std::string body;
  bool too_large = false;
  const serve::HttpReply reply = serve::Exchange(
      request,
      [&](const serve::HttpReply& so_far, std::string_view piece) {
        // What is wrong is told in a few words.
        if (so_far.status != 200) {
          body += piece.substr(0, kMostWordsBytes - std::min(kMostWordsBytes, body.size()));
          return true;
        }
        too_large = body.size() + piece.size() > most_bytes;
        if (too_large) return false;
        body += piece;
        return true;
      },
      stop);
  const std::string place = request.address.ToString() + request.path;
  if (stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
  if (too_large) return MakeError(ErrorCode::kCorrupt, "the answer is too large", place);
  if (reply.end != serve::HttpEnd::kComplete) {
    return MakeError(ErrorCode::kIo, serve::Explain(reply.end), place);
  }
  if (reply.status != 200) {
    return MakeError(
        ErrorCode::kIo,
        "answered with HTTP status " + std::to_string(reply.status) + ", " + base::Quote(body),
        place);
  }
  return body;
}

// What came is read from a file beside `path`, so that a bad one overwrites nothing.
Result<std::shared_ptr<const Adapter>> Checked(const std::string& bytes, const Model& model,
                                               const std::string& path) {
  const std::string beside = path + "." + std::to_string(getpid()) + ".part";
  ONDINE_TRY(base::WriteFileAtomically(
      beside, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(bytes))); }));
  auto adapter = Adapter::Load(model, beside);
  std::error_code error;
  std::filesystem::remove(beside, error);
  return adapter;
}

Result<RemoteCustomization> Customize(const ServerSettings& server, const Model& model,
                                      const std::vector<Example>& examples, const std::string& path,
                                      const StopToken& stop_token) {
  ONDINE_TRY(Server::Create(server));  // checks the settings
  serve::HttpRequest request;
  ONDINE_ASSIGN(request.address, serve::ParseHttpAddress(server.url));
  request.key = server.key;
  request.certificates = server.certificates;
  request.limits = {server.connect_seconds, server.silence_seconds, server.answer_seconds};

  request.method = "GET";
  request.path = serve::kPoolPath;
  ONDINE_ASSIGN(const std::string outline_text, Fetch(request, kMostOutlineBytes, stop_token));
  ONDINE_ASSIGN(const serve::PoolOutline outline, serve::ParsePoolOutline(outline_text));
  const auto& decoder = model.parts().decoder;
  if (outline.base != models::BaseFingerprint(*decoder)) {
    return MakeError(ErrorCode::kMismatch, "the server's pool belongs to another model",
                     server.url);
  }
  ONDINE_ASSIGN(const auto prompts, engine::PromptsOf(examples, model));
  RemoteCustomization result;
  ONDINE_ASSIGN(
      result.similarities,
      adapters::Similarities(outline.tasks, adapters::FeatureReader(decoder).Read(prompts)));

  request.method = "POST";
  request.path = serve::kPoolAdapterPath;
  request.body = serve::ToMessage(serve::PoolRequest{outline.pool, result.similarities});
  ONDINE_ASSIGN(const std::string adapter, Fetch(request, kMostAdapterBytes, stop_token));
  auto checked = Checked(adapter, model, path);
  if (!checked) {
    return MakeError(checked.error().code,
                     "what it sent is no adapter for this model: " + checked.error().message,
                     server.url);
  }
  result.adapter = std::move(*checked);
  ONDINE_TRY(result.adapter->Save(path));
  result.sent = std::move(request.body);
  return result;
}

}  // namespace

Result<RemoteCustomization> CustomizeFrom(const ServerSettings& server,
                                          const std::shared_ptr<const Model>& model,
                                          const std::vector<Example>& examples,
                                          const std::string& path, const StopToken& stop_token) {
  if (model == nullptr) return MakeError(ErrorCode::kInvalidArgument, "a pool needs a model");
  return base::Guarded([&] { return Customize(server, *model, examples, path, stop_token); },
                       "no memory for what the server says", server.url);
}

}  // namespace ondine
