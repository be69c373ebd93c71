// read_long_text MODEL FILE QUESTION: reads a file of any length in a pot of 2,048 tokens, asks
// about it, and says what that took.
#include <iostream>

#include "ondine/model.h"
#include "ondine/session.h"

namespace {

ondine::Status ReadAndAsk(const char* path, const char* file, const char* question) {
  const auto model = ondine::Model::Load(path);
  if (!model) return tl::make_unexpected(model.error());
  ondine::SessionOptions settings;
  settings.pot.emplace().slots = 2048;
  auto session = ondine::Session::Create(*model, settings);
  if (!session) return tl::make_unexpected(session.error());

  const auto text = ondine::OpenTextFiles({file});
  if (!text) return tl::make_unexpected(text.error());
  if (const auto status = session->Read(**text); !status) return status;
  const auto answer = session->Ask(question);
  if (!answer) return tl::make_unexpected(answer.error());

  const ondine::SessionReport report = session->report();
  std::cout << answer->text << "\n\nread " << report.tokens << " tokens in "
            << report.peak_bytes / 1000000 << " MB; keeping all of them would have taken "
            << report.tokens * (*model)->info().cache_bytes_per_token / 1000000 << " MB\n";
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: read_long_text MODEL FILE QUESTION\n";
    return 2;
  }
  const ondine::Status status = ReadAndAsk(argv[1], argv[2], argv[3]);
  if (!status) std::cerr << status.error().ToString() << '\n';
  return status ? 0 : 1;
}
