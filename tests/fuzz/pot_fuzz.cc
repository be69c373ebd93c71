#include <cstring>
#include <memory>
#include <new>

#include "base/checksum.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "formats/pot_file.h"
#include "fuzz/fuzzer.h"

namespace {

using ondine::formats::kPotAlignment;
using ondine::formats::PotFile;
using ondine::formats::PotFileWriter;

struct AlignedDelete {
  void operator()(std::byte* data) const {
    ::operator delete(data, std::align_val_t(kPotAlignment));
  }
};

unsigned Touch(const PotFile& file) {
  unsigned sum = 0;
  for (const auto& [key, value] : file.values()) {
    sum += file.GetInt(key).has_value() + file.GetNumber(key).has_value() +
           file.GetBool(key).has_value() + file.GetString(key).has_value() +
           file.Expect(key, std::int64_t{1}).has_value();
  }
  for (const std::string& name : file.section_names()) {
    const auto section = file.Section(name);
    for (const std::byte byte : *section) sum += static_cast<unsigned>(byte);
    const auto numbers = file.Array<float>(name, 3);
    if (numbers) sum += numbers->back() > 0 ? 1 : 0;
  }
  return sum;
}

void Parse(std::span<const std::byte> bytes) {
  const auto file = PotFile::Parse(bytes, "fuzz");
  if (!file) return;
  [[maybe_unused]] const volatile unsigned sum = Touch(*file);
}

// Makes the file's length and the header's checksum right, behind which fuzzing would find nothing.
void Sign(std::span<std::byte> bytes) {
  std::uint64_t header = 0;
  const std::uint64_t length = bytes.size();
  if (length < 40) return;
  std::memcpy(bytes.data() + 16, &length, sizeof(length));
  std::memcpy(&header, bytes.data() + 24, sizeof(header));
  if (header < 32 || header > length - 8) return;
  const std::uint64_t checksum = ondine::base::Hash64(bytes.first(header));
  std::memcpy(bytes.data() + header, &checksum, sizeof(checksum));
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  const TempDir dir;
  const float numbers[] = {1.0f, 2.0f, 3.0f};
  std::vector<std::string> seeds;
  for (int i = 0; i < 3; ++i) {
    PotFileWriter writer;
    if (i > 0) {
      writer.Set("policy", std::string("infinipot"));
      writer.Set("capacity", std::int64_t{2048});
      writer.Set("alpha", 0.5);
      writer.Set("ring", true);
    }
    if (i > 1) {
      writer.AddSection("nll", std::as_bytes(std::span(numbers)));
      writer.AddSection("empty", {});
    }
    if (writer.Write(dir.File("seed"))) seeds.push_back(*base::ReadFile(dir.File("seed")));
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::unique_ptr<std::byte, AlignedDelete> copy(
      static_cast<std::byte*>(::operator new(size, std::align_val_t(kPotAlignment))));
  const std::span bytes(copy.get(), size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  Parse(bytes);
  Sign(bytes);
  Parse(bytes);
  return 0;
}
