#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images/photo_database.h"
#include "images/photo_folder.h"
#include "ondine/images.h"

namespace ondine::images {
namespace {

namespace fs = std::filesystem;
using ::ondine::testing::PhotoFolder;
using ::ondine::testing::PictureFile;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

void AddTaken(const PhotoFolder& folder, const std::string& name, const std::string& time,
              int red) {
  PictureFile file{.width = 8, .height = 6, .taken = time};
  folder.Write(name, file.Bytes(".jpg", [&](int, int, int c) { return c == 0 ? red : 50; }));
}

TEST(PhotoLibrary, FindsByScoreDateAndFolder) {
  PhotoFolder folder;
  AddTaken(folder, "a/new.jpg", "2021:06:30 12:00:00", 250);
  AddTaken(folder, "a/old.jpg", "1999:01:01 00:00:00", 200);
  AddTaken(folder, "a b/other.jpg", "2021:07:01 00:00:00", 150);
  AddTaken(folder, "none.jpg", "", 100);
  ASSERT_TRUE(folder.Index());
  EXPECT_THAT(folder.All(), ElementsAre("a/new.jpg", "a/old.jpg", "a b/other.jpg", "none.jpg"));
  const std::vector<float> red = {1, 0, 0};

  EXPECT_THAT(folder.Search(red, {.filter = {.from = 1609459200}}),  // 2021-01-01
              ElementsAre("a/new.jpg", "a b/other.jpg"));
  EXPECT_THAT(folder.Search(red, {.filter = {.to = 1625097600}}),  // 2021-07-01
              ElementsAre("a/new.jpg", "a/old.jpg"));
  EXPECT_THAT(folder.Search(red, {.filter = {.folder = folder.Path("a")}}),
              ElementsAre("a/new.jpg", "a/old.jpg"));
  EXPECT_THAT(folder.Search(red, {.filter = {.folder = folder.Path("a/../a/")}}),
              ElementsAre("a/new.jpg", "a/old.jpg"));
  EXPECT_THAT(folder.Search(red, {.filter = {.from = 1609459200, .folder = folder.Path("a")}}),
              ElementsAre("a/new.jpg"));
  EXPECT_THAT(folder.Search(red, {.filter = {.folder = folder.Path("none")}}), IsEmpty());
  EXPECT_THAT(folder.Search(red, {.top = 1}), ElementsAre("a/new.jpg"));
  EXPECT_THAT(folder.Search(red, {.min_score = 0.95f}), ElementsAre("a/new.jpg"));

  const auto library = PhotoLibrary::Open(folder.Database(), 1);
  ASSERT_TRUE(library);
  const auto found = (*library)->Search(red, {.top = 1});
  ASSERT_TRUE(found);
  const Photo& photo = found->front().photo;
  EXPECT_EQ(photo.width, 8);
  EXPECT_EQ(photo.height, 6);
  EXPECT_EQ(photo.taken, 1625054400);
  EXPECT_EQ(photo.bytes, static_cast<std::int64_t>(fs::file_size(photo.path)));
  EXPECT_EQ((*library)->Search(std::vector<float>(4), {}).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(PhotoLibrary, AnotherEncoderCannotAddToIt) {
  PhotoFolder folder;
  folder.Add("a.png", {1, 2, 3});
  ASSERT_TRUE(folder.Index());
  folder.encoder.fingerprint = "2";
  EXPECT_EQ(folder.Index().error().code, ErrorCode::kMismatch);
  EXPECT_EQ(images::PhotoDatabase::Open(folder.Database())->encoder().fingerprint, "1");
}

TEST(PhotoLibrary, ForgetsNothingWhereNoFolderIsNamed) {
  PhotoFolder folder;
  folder.Add("a.png", {1, 2, 3});
  ASSERT_TRUE(folder.Index());
  EXPECT_EQ(ForgetPhotos(folder.Database(), "").error().code, ErrorCode::kInvalidArgument);
  // What cannot be looked at: a link in a circle, and a name that is too long.
  std::filesystem::create_symlink("circle", folder.Path("circle"));
  for (const std::string& none :
       {folder.Path("circle"), folder.Path("circle/below"), folder.Path(std::string(300, 'x'))}) {
    const auto forgotten = ForgetPhotos(folder.Database(), none);
    ASSERT_TRUE(forgotten) << forgotten.error().ToString();
    EXPECT_EQ(*forgotten, 0) << none;
  }
  EXPECT_THAT(folder.All(), ElementsAre("a.png"));
}

// What is found was there when the library was opened, whatever has taken its place.
TEST(PhotoLibrary, AnOpenOneDoesNotTakeNewPhotosForOldOnes) {
  PhotoFolder folder;
  folder.Add("a.png", {200, 0, 0});
  folder.Add("z.png", {190, 0, 0});
  ASSERT_TRUE(folder.Index());
  const auto library = PhotoLibrary::Open(folder.Database(), 1);
  ASSERT_TRUE(library);
  fs::remove(folder.Path("z.png"));
  ASSERT_TRUE(folder.Index());
  folder.Add("new.png", {0, 0, 200});
  ASSERT_TRUE(folder.Index());
  const auto found = (*library)->Search(std::vector<float>{1, 0, 0}, {});
  ASSERT_TRUE(found);
  for (const FoundPhoto& photo : *found) {
    EXPECT_FALSE(photo.photo.path.ends_with("new.png")) << photo.score;
  }
}

TEST(ContactSheet, HoldsThumbnailsAndEscapesNames) {
  PhotoFolder folder;
  folder.Add("<script>'&\".png", {200, 0, 0});
  folder.Add("gone.png", {100, 100, 0});
  ASSERT_TRUE(folder.Index());
  const auto library = PhotoLibrary::Open(folder.Database(), 1);
  ASSERT_TRUE(library);
  const auto found = (*library)->Search(std::vector<float>{1, 0, 0}, {});
  ASSERT_TRUE(found);
  fs::remove(folder.Path("gone.png"));
  const std::string path = folder.Database() + ".html";
  ASSERT_TRUE(WriteContactSheet(path, "a <red> shoe", *found));
  std::ifstream stream(path);
  const std::string html(std::istreambuf_iterator<char>(stream), {});
  EXPECT_THAT(html, AllOf(HasSubstr("<title>a &lt;red&gt; shoe</title>"),
                          HasSubstr("/&lt;script&gt;&#39;&amp;&quot;.png"),
                          HasSubstr("<b>1.000</b>"), HasSubstr("data:image/jpeg;base64,/9j/"),
                          HasSubstr("No such file"), Not(HasSubstr("<script"))));
  EXPECT_EQ(WriteContactSheet(folder.Path("no/x.html"), "", *found).error().code,
            ErrorCode::kNotFound);
  const StopToken stop;
  stop.Stop();
  fs::remove(path);
  EXPECT_EQ(WriteContactSheet(path, "", *found, stop).error().code, ErrorCode::kCancelled);
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace ondine::images
