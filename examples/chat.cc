// chat MODEL: a conversation without end in a memory of 1,024 tokens, one message a line.
#include <iostream>
#include <string>

#include "ondine/model.h"
#include "ondine/session.h"

namespace {

ondine::Status Chat(const char* path) {
  const auto model = ondine::Model::Load(path);
  if (!model) return tl::make_unexpected(model.error());
  ondine::SessionOptions settings;
  settings.pot.emplace().slots = 1024;
  auto session = ondine::Session::Create(*model, settings);
  if (!session) return tl::make_unexpected(session.error());

  ondine::GenerationOptions options;
  options.sampling.temperature = 0.7f;
  options.on_text = [](std::string_view text) { std::cout << text << std::flush; };
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = session->Say(line, options);
    if (!answer) return tl::make_unexpected(answer.error());
    std::cout << "\n\n";
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: chat MODEL\n";
    return 2;
  }
  const ondine::Status status = Chat(argv[1]);
  if (!status) std::cerr << status.error().ToString() << '\n';
  return status ? 0 : 1;
}
