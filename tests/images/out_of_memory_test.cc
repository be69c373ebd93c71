// Memory that runs out anywhere: an error value, and a library that can be used.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/failing_allocation.h"
#include "base/temp_dir.h"
#include "images/photo_folder.h"
#include "images/tiny_clip.h"
#include "ondine/images.h"

namespace ondine::testing {
namespace {

using ::testing::SizeIs;

constexpr auto kNothing = [] {};

class ImagesOutOfMemory : public ::testing::Test {
 protected:
  ImagesOutOfMemory() {
    EXPECT_TRUE(TinyClip().WriteGguf(path_).has_value());
    clip_ = *Clip::Load(path_, 2);
  }

  const TempDir folder_;
  const std::string path_ = folder_.File("tiny.gguf");
  std::unique_ptr<Clip> clip_;
};

TEST_F(ImagesOutOfMemory, WhileAClipIsLoaded) {
  FailEachAllocation([&] { return Clip::Load(path_, 2); }, kNothing);
}

TEST_F(ImagesOutOfMemory, WhileAQueryIsEncoded) {
  const std::string query = "a (red:2) shoe -(silk hat)";
  const auto expected = clip_->EncodeQuery(query)->vector;
  FailEachAllocation([&] { return clip_->EncodeQuery(query, {.explain = true}); },
                     [&] { EXPECT_EQ(clip_->EncodeQuery(query)->vector, expected); });
}

// Not their files: the destructor of nlohmann::json allocates, and ends the program where it
// cannot.
TEST_F(ImagesOutOfMemory, WhileClassesAreLearned) {
  const std::vector<ClassExamples> examples = {
      {"shoes", "a red shoe", {clip_->EncodeQuery("a (red:6) shoe")->vector}},
      {"hats", "a hat", {clip_->EncodeQuery("a (hat:6)")->vector}}};
  const auto learned = LearnClasses(*clip_, examples);
  ASSERT_TRUE(learned);
  const LearnOptions options;
  FailEachAllocation([&] { return LearnClasses(*clip_, examples, options); }, kNothing);
  FailEachAllocation([&] { return PhotoClassifier::Create(*clip_, learned->classes); }, kNothing);
}

// Nor indexing: libstdc++'s std::filesystem ends the program there.
TEST_F(ImagesOutOfMemory, WhileALibraryIsSearched) {
  PhotoFolder photos;
  photos.AddMany(5);
  ASSERT_TRUE(photos.Index());
  const std::string database = photos.Database();
  FailEachAllocation([&] { return PhotoLibrary::Open(database, 2); }, kNothing);

  const auto library = PhotoLibrary::Open(database, 2);
  const std::vector<float> red = {1, 0, 0};
  const auto found = (*library)->Search(red);
  ASSERT_THAT(*found, SizeIs(5));
  FailEachAllocation([&] { return (*library)->Search(red); },
                     [&] { EXPECT_THAT(*(*library)->Search(red), SizeIs(5)); });

  const std::string page = folder_.File("page.html"), title = "red";
  const StopToken stop;
  FailEachAllocation([&] { return WriteContactSheet(page, title, *found, stop); }, kNothing);
}

}  // namespace
}  // namespace ondine::testing
