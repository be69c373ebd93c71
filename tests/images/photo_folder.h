// A folder of photos of one colour each, and a library of them.
#ifndef ONDINE_TESTS_IMAGES_PHOTO_FOLDER_H_
#define ONDINE_TESTS_IMAGES_PHOTO_FOLDER_H_

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "images/fake_encoder.h"
#include "images/photo_indexer.h"
#include "images/test_pictures.h"
#include "ondine/images.h"

namespace ondine::testing {

class PhotoFolder {
 public:
  PhotoFolder() { std::filesystem::create_directory(Path("")); }

  std::string Path(const std::string& name) const { return temp_.File("photos/" + name); }
  std::string Database() const { return temp_.File("x.db"); }

  void Write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << bytes;
  }
  void Add(const std::string& name, const std::vector<int>& colour) const {
    Write(name, PlainPicture(6, 6, colour));
  }
  // Many different ones.
  void AddMany(int count) const {
    for (int i = 0; i < count; ++i) {
      Add("many/" + std::to_string(i) + ".png", {i % 200, i / 200, 50});
    }
  }

  Result<IndexReport> Index(const IndexOptions& options = {.threads = 2}) {
    encoder.encoded = 0;
    return images::IndexPhotos(Database(), Path(""), encoder, options);
  }

  // Names of what is found, best first.
  std::vector<std::string> Search(const std::vector<float>& query,
                                  const SearchOptions& options = {}) const {
    const auto library = PhotoLibrary::Open(Database(), 2);
    if (!library) return {library.error().ToString()};
    const auto found = (*library)->Search(query, options);
    if (!found) return {found.error().ToString()};
    std::vector<std::string> names;
    const std::string root = std::filesystem::canonical(Path("")).string() + "/";
    for (const FoundPhoto& photo : *found) {
      names.push_back(photo.photo.path.substr(root.size()));
    }
    return names;
  }
  std::vector<std::string> All() const { return Search({1, 0, 0}, {.top = 100'000}); }

  FakeEncoder encoder;

 private:
  TempDir temp_;
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_IMAGES_PHOTO_FOLDER_H_
