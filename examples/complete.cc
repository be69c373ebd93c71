// complete MODEL PROMPT: continues a text and streams it.
#include <iostream>

#include "ondine/model.h"
#include "ondine/session.h"

namespace {

ondine::Status Complete(const char* path, const char* prompt) {
  const auto model = ondine::Model::Load(path);
  if (!model) return tl::make_unexpected(model.error());
  auto session = ondine::Session::Create(*model);
  if (!session) return tl::make_unexpected(session.error());

  ondine::GenerationOptions options;
  options.max_tokens = 64;
  options.on_text = [](std::string_view text) { std::cout << text << std::flush; };
  std::cout << prompt;
  const auto generation = session->Complete(prompt, options);
  if (!generation) return tl::make_unexpected(generation.error());
  std::cout << '\n';
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: complete MODEL PROMPT\n";
    return 2;
  }
  const ondine::Status status = Complete(argv[1], argv[2]);
  if (!status) std::cerr << status.error().ToString() << '\n';
  return status ? 0 : 1;
}
