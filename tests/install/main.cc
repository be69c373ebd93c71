// Compiles against the installed headers alone and runs code of every layer of the installed
// library: with a model file as argument it completes a text, without one it asks for a missing
// file.
#include <cstdio>
#include <memory>

#include "ondine/model.h"
#include "ondine/session.h"

int main(int argc, char** argv) {
  const auto missing = ondine::Model::Load("no/such/model.gguf");
  if (missing || missing.error().code != ondine::ErrorCode::kNotFound) return 1;
  if (argc < 2) return 0;

  const auto model = ondine::Model::Load(argv[1]);
  if (!model) return 1;
  auto session = ondine::Session::Create(*model);
  if (!session) return 1;
  ondine::GenerationOptions options;
  options.max_tokens = 4;
  const auto answer = session->Complete("The quick brown fox", options);
  if (!answer || answer->tokens_generated != 4) return 1;
  std::puts(answer->text.c_str());
  return 0;
}
