// Texts and pictures as vectors that can be compared (CLIP), with a strength for every word of the
// text, and photo libraries to search in. Radford et al., 2021, arXiv 2103.00020; the strengths:
// SToRI, Kim et al., Findings of EMNLP 2024, arXiv 2410.08469, which may be covered by patents.
#ifndef ONDINE_IMAGES_H_
#define ONDINE_IMAGES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine {

struct ClipInfo {
  std::string name;
  int vector_length = 0;
  int picture_size = 0;           // pixels a side, of what the encoder sees
  int longest_text = 0;           // tokens, without start and end
  float logit_scale = 100;        // of cosines, before a softmax over texts
  std::int64_t weight_bytes = 0;  // resident, prepared for this CPU
};

// How a strength w acts.
enum class StrengthMode {
  kAttention,  // SToRI: w multiplies the odds of the word in the encoder's attention
  // The vector moves by w - 1 times what the word adds to it: its difference to the vector of the
  // same text with the word hidden. Stronger than kAttention where attention is already decided.
  kDifference,
};

struct QueryOptions {
  bool literal = false;  // brackets are text
  StrengthMode mode = StrengthMode::kAttention;
  int first_block = 0;   // of the text encoder, from which on strengths act on attention
  bool explain = false;  // fill what EncodedQuery has for explanations
};

struct EncodedQuery {
  struct Word {
    std::string text;
    double weight = 1;
    // For explanations: how much of the attention of the token that stands for the whole text goes
    // to this word, mean over blocks and heads, and how much would without strengths. The rest goes
    // to the start and end.
    double share = 0, share_plain = 0;
  };
  std::vector<float> vector;          // [vector_length], norm 1
  std::vector<Word> words;            // of the text, in order
  std::vector<std::string> unwanted;  // texts whose vectors were subtracted
  std::string canonical;              // a query that says the same, with a number for each strength
  // For explanations: the vector of the same text without strengths, and the cosine to it.
  std::vector<float> plain_vector;
  double plain_similarity = 1;
  std::vector<std::string> notes;  // what the user should know, a line each
};

// Belongs to one thread at a time.
class Clip {
 public:
  // Reads a GGUF file with both encoders and prepares its weights for this CPU. `threads`: 0 means
  // one per core. Errors: kNotFound, kIo, kCorrupt, kUnsupported, kOutOfMemory.
  static Result<std::unique_ptr<Clip>> Load(const std::string& path, int threads = 0);
  ~Clip();

  const ClipInfo& info() const;

  // The vector of a query such as "a (red:1.6) running shoe -laces" (docs/stori.md). Strengths of 1
  // give the plain text's vector, bit for bit. kInvalidArgument: no text, brackets that do not
  // match, strengths that make no sense.
  Result<EncodedQuery> EncodeQuery(std::string_view query, const QueryOptions& options = {});

  // The vectors of pictures: JPEG, PNG, WebP, TIFF, GIF, HEIC, AVIF, where libvips reads them;
  // [vector_length] each, norm 1. Of each file its own error: kNotFound, kIo, kCorrupt,
  // kUnsupported, kOutOfMemory.
  std::vector<Result<std::vector<float>>> EncodePictures(const std::vector<std::string>& paths);

  // For the library's own use.
  struct Parts;
  Parts& parts() { return *parts_; }

 private:
  explicit Clip(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Of 16 bits, of which kBF16 has three fewer for the value and is multiplied twice as fast by CPUs
// with AVX-512 BF16; or of 32.
enum class MatrixType { kF16, kBF16, kF32 };

// Makes a checkpoint of transformers' or OpenCLIP's into a GGUF file. `folder` holds config.json,
// model.safetensors (or the files that model.safetensors.index.json lists) and merges.txt or
// tokenizer.json; or open_clip_config.json, open_clip_model.safetensors and the same. Errors name
// the file or tensor: kNotFound, kCorrupt, kUnsupported, kIo.
Status ConvertClip(const std::string& folder, const std::string& output,
                   MatrixType matrices = MatrixType::kF16);

// A class of photos: a query that its photos are near to. In what is learned, every word of a text
// has a strength, so that one can read what makes the class.
struct PhotoClass {
  std::string name;
  std::string query;  // as EncodeQuery() takes it
};

// Photos that are known to be of a class.
struct ClassExamples {
  std::string name;
  std::string text;                        // what its photos show, without markup
  std::vector<std::vector<float>> photos;  // vectors, as EncodePictures() gives them
};

struct LearnOptions {
  int steps = 200;
  double learning_rate = 0.03;
  double pull = 1e-3;  // of strengths towards 1; the larger, the fewer words get another
  StopToken stop = {};
  std::function<void(int step, double loss)> progress = {};
};

struct LearnedClasses {
  std::vector<PhotoClass> classes;  // in the order of the examples
  // Of the photos given, every class counting the same: cross-entropy, and the share that is
  // nearest to its own class; with all strengths at 1, and as learned.
  double plain_loss = 0, loss = 0, plain_accuracy = 0, accuracy = 0;
  std::vector<std::string> notes;  // what the user should know, a line each
};

// Learns a strength for each word of the classes' texts, w = exp(theta), by Adam on the
// cross-entropy over the photos at the CLIP's own logit scale; both encoders stay as they are
// (SToRI, arXiv 2410.08469). Errors: kInvalidArgument (fewer than two classes, two of one name, a
// class without text or photos, vectors of another length, settings that make no sense),
// kCancelled, kOutOfMemory.
Result<LearnedClasses> LearnClasses(Clip& clip, const std::vector<ClassExamples>& examples,
                                    const LearnOptions& options = {});

// A file of classes, JSON, that can be read and edited: docs/formats/photo_classes.md. Errors: kIo.
Status WritePhotoClasses(const std::string& path, const std::vector<PhotoClass>& classes,
                         Clip& learned_with);
// Errors: kNotFound, kIo, kCorrupt (names what is wrong), kMismatch (learned with another CLIP).
Result<std::vector<PhotoClass>> ReadPhotoClasses(const std::string& path, Clip& clip);

// Tells classes apart by the vectors of their queries.
class PhotoClassifier {
 public:
  // Errors: kInvalidArgument (no class, two of one name, a query that is none).
  static Result<PhotoClassifier> Create(Clip& clip, const std::vector<PhotoClass>& classes);

  // Of a photo's vector, that CLIP's, [classes]: the softmax of its cosines times the logit scale.
  std::vector<double> Probabilities(std::span<const float> photo) const;

 private:
  float logit_scale_ = 0;
  std::vector<std::vector<float>> vectors_;
};

struct IndexProgress {
  std::int64_t done = 0, total = 0;  // photos
  double photos_per_second = 0;      // of those that had to be read
  double seconds_left = 0;
};

struct IndexOptions {
  int threads = 0;  // that read and decode, beside those of the encoder; 0: one per core
  StopToken stop = {};
  std::function<void(const IndexProgress&)> progress = {};  // about ten times a second
};

struct IndexReport {
  std::int64_t unchanged = 0;
  std::int64_t added = 0;    // not seen before
  std::int64_t copied = 0;   // new files with a content that was known
  std::int64_t moved = 0;    // known under a name that is gone
  std::int64_t changed = 0;  // the same name with another content
  std::int64_t removed = 0;
  // Files that cannot be read or decoded: they are in none of the numbers above.
  std::vector<Error> broken;
  std::vector<Error> unreadable_folders;  // what was known in them stays known
  double seconds = 0;

  std::int64_t Photos() const { return unchanged + added + copied + moved + changed; }
};

// Brings a library, one SQLite file that is made where it is not there, up to date with a folder.
// Files whose size and time are those that the library knows are not read; others are, and if their
// content is known, its vector is used again. Photos of `folder` that are gone are forgotten, those
// of other folders stay. The work is committed every few seconds: after an error, kCancelled or a
// crash, the next call goes on from there. Memory does not grow with the photos but by some 200
// bytes each. Errors: kNotFound (no such folder, or no photo in it), kMismatch (vectors of another
// CLIP), kCancelled, kUnsupported (no photo library), kIo (read-only, in use, no room).
Result<IndexReport> IndexPhotos(const std::string& library, const std::string& folder, Clip& clip,
                                const IndexOptions& options = {});

// Takes the photos below `folder`, which need not be there any more, out of a library; returns how
// many. IndexPhotos() leaves photos as they are where their folder is not there, or has none: its
// disk may only be away. Errors: those of PhotoLibrary::Open(), kInvalidArgument (no folder), kIo.
Result<std::int64_t> ForgetPhotos(const std::string& library, const std::string& folder);

struct Photo {
  std::string path;
  std::int64_t bytes = 0;  // of the file
  int width = 0, height = 0;
  std::optional<std::int64_t> taken;  // seconds of a UTC clock
};

struct PhotoFilter {
  std::optional<std::int64_t> from = {}, to = {};  // taken at `from` or later, and before `to`
  std::string folder = {};                         // all that is below it; empty: everywhere

  bool empty() const { return !from && !to && folder.empty(); }
};

struct SearchOptions {
  std::size_t top = 10;
  float min_score = -std::numeric_limits<float>::infinity();
  PhotoFilter filter = {};
};

struct FoundPhoto {
  Photo photo;
  float score = 0;  // cosine of the two vectors
};

// A photo library to search in, as it was when it was opened: what is indexed meanwhile is found
// after opening it again. One thread at a time.
class PhotoLibrary {
 public:
  // Errors: kNotFound, kCorrupt, kUnsupported (no photo library), kIo, kOutOfMemory.
  static Result<std::unique_ptr<PhotoLibrary>> Open(const std::string& path, int threads = 0);
  ~PhotoLibrary();

  // kMismatch where the library's vectors are another CLIP's, naming both.
  Status CheckMadeBy(Clip& clip) const;

  // The best first; of equals by path. kInvalidArgument: a query of another length.
  Result<std::vector<FoundPhoto>> Search(std::span<const float> query,
                                         const SearchOptions& options = {}) const;

 private:
  struct Parts;
  explicit PhotoLibrary(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Photos as one HTML file that needs nothing else: thumbnails with name and score under `title`, in
// the order given; a photo that can no longer be read has its error in place of the thumbnail.
// Errors: kIo, kNotFound (no such folder), kCancelled.
Status WriteContactSheet(const std::string& path, const std::string& title,
                         std::span<const FoundPhoto> photos, const StopToken& stop = {});

}  // namespace ondine

#endif  // ONDINE_IMAGES_H_
