// Reading and writing classes, and telling them apart.
#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "images/class_file.h"
#include "images/clip_parts.h"
#include "images/vector_math.h"
#include "ondine/images.h"

namespace ondine {
namespace {

constexpr std::string_view kNoMemory = "there is not enough memory for the classes";

}  // namespace

Status WritePhotoClasses(const std::string& path, const std::vector<PhotoClass>& classes,
                         Clip& learned_with) {
  const auto write = [&]() -> Status {
    const Clip::Parts& clip = learned_with.parts();
    const std::string text = images::FormatClassFile({clip.info.name, clip.fingerprint, classes});
    return base::WriteFileAtomically(
        path, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(text))); });
  };
  return base::Guarded(write, kNoMemory, path);
}

Result<std::vector<PhotoClass>> ReadPhotoClasses(const std::string& path, Clip& clip) {
  const auto read = [&]() -> Result<std::vector<PhotoClass>> {
    ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
    Result<images::ClassFile> file = images::ParseClassFile(text);
    if (!file) {
      file.error().context = path;
      return tl::make_unexpected(std::move(file).error());
    }
    if (!file->clip_fingerprint.empty() && file->clip_fingerprint != clip.parts().fingerprint) {
      return MakeError(ErrorCode::kMismatch,
                       "its classes were learned with another CLIP, " +
                           images::NameOf({file->clip_name, file->clip_fingerprint}) + ", than " +
                           images::NameOf(clip.parts().identity()),
                       path);
    }
    return std::move(file->classes);
  };
  return base::Guarded(read, kNoMemory, path);
}

Result<PhotoClassifier> PhotoClassifier::Create(Clip& clip,
                                                const std::vector<PhotoClass>& classes) {
  if (classes.empty()) return MakeError(ErrorCode::kInvalidArgument, "there are no classes");
  const auto create = [&]() -> Result<PhotoClassifier> {
    PhotoClassifier classifier;
    classifier.logit_scale_ = clip.info().logit_scale;
    std::set<std::string> names;
    for (const PhotoClass& one : classes) {
      const std::string name = base::Quote(one.name);
      if (!names.insert(one.name).second) {
        return MakeError(ErrorCode::kInvalidArgument, "two classes are called " + name);
      }
      Result<EncodedQuery> query = clip.EncodeQuery(one.query);
      if (!query) {
        query.error().context = "class " + name;
        return tl::make_unexpected(std::move(query).error());
      }
      classifier.vectors_.push_back(std::move(query->vector));
    }
    return classifier;
  };
  return base::Guarded(create, kNoMemory);
}

std::vector<double> PhotoClassifier::Probabilities(std::span<const float> photo) const {
  std::vector<double> shares;
  for (const std::vector<float>& vector : vectors_) {
    shares.push_back(logit_scale_ * images::Dot(photo, vector));
  }
  images::Softmax(shares);
  return shares;
}

}  // namespace ondine
