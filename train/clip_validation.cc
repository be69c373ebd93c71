#include "train/clip_validation.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "train/captions.h"
#include "train/clip_pictures.h"
#include "train/clip_text.h"
#include "train/contrastive_loss.h"

namespace ondine::train {
namespace {

using torch::Tensor;

constexpr std::size_t kMostNamed = 1000;
constexpr std::int64_t kAtOnce = 128;  // pictures

}  // namespace

Recall RecallOf(const Tensor& similarities, const Tensor& right) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const Tensor best =
      std::get<0>(similarities.to(torch::kDouble).masked_fill(~right, kNever).max(1, true));
  const Tensor ahead = (similarities > best).sum(1);
  Recall recall{};
  for (std::size_t i = 0; i < recall.size(); ++i) {
    recall[i] = (ahead < kRecallAt[i]).to(torch::kDouble).mean().item<double>();
  }
  return recall;
}

Tensor PhotoVectors(const ClipTwin& twin, const PhotoSet& photos, const ProcessGroup& group,
                    const StopToken& stop_token) {
  const torch::NoGradGuard no_gradient;
  const auto count = static_cast<std::int64_t>(photos.items.size());
  const Part part = Part::Own(count, group);
  const Tensor bytes = BytesOf(photos);
  Tensor own = torch::zeros({part.size(), twin.spec().projection});
  for (std::int64_t begin = part.begin; begin < part.end && !stop_token.Stopped();
       begin += kAtOnce) {
    const std::int64_t end = std::min(begin + kAtOnce, part.end);
    own.narrow(0, begin - part.begin, end - begin)
        .copy_(twin.EncodePictures(
            Normalised(bytes.narrow(0, begin, end - begin).to(twin.device()), twin.spec())));
  }
  return Gathered(own, count, group);
}

ClipValidation::ClipValidation(const PhotoSet& photos, const std::vector<FashionItem>& training,
                               const text::ClipTokenizer& tokenizer, const models::ClipSpec& spec)
    : photos_(photos),
      types_(FindClasses(Attribute::kType, training, tokenizer, spec.context)),
      colours_(FindClasses(Attribute::kColour, training, tokenizer, spec.context)),
      genders_(FindClasses(Attribute::kGender, training, tokenizer, spec.context)) {
  for (std::size_t i = 0; i < photos.items.size() && named_.size() < kMostNamed; ++i) {
    if (photos.items[i].name.empty()) continue;
    named_.push_back(static_cast<std::int64_t>(i));
    names_.push_back(TokensOf(photos.items[i].name, tokenizer, spec.context));
  }
  const auto count = static_cast<std::int64_t>(named_.size());
  right_ = torch::zeros({count, count}, torch::kBool);
  bool* cell = right_.data_ptr<bool>();
  for (const std::int64_t i : named_) {
    const FashionItem& query = photos.items[static_cast<std::size_t>(i)];
    for (const std::int64_t j : named_) {
      const FashionItem& answer = photos.items[static_cast<std::size_t>(j)];
      *cell++ = query.name == answer.name || query.content == answer.content;
    }
  }
}

ClipValidation::Classes ClipValidation::FindClasses(Attribute attribute,
                                                    const std::vector<FashionItem>& training,
                                                    const text::ClipTokenizer& tokenizer,
                                                    int context) const {
  std::map<std::string, std::int64_t> numbers;
  for (const FashionItem& item : training) {
    if (!item[attribute].empty()) numbers.emplace(item[attribute], 0);
  }
  Classes classes;
  std::vector<std::int64_t> owners, labels;
  for (auto& [value, number] : numbers) {
    number = classes.count++;
    for (const std::string& prompt : ClassPrompts(attribute, value)) {
      classes.prompts.push_back(TokensOf(prompt, tokenizer, context));
      owners.push_back(number);
    }
  }
  for (const FashionItem& item : photos_.items) {
    const auto found = numbers.find(item[attribute]);
    labels.push_back(found == numbers.end() ? -1 : found->second);
  }
  classes.owners = torch::tensor(owners, torch::kLong);
  classes.labels = torch::tensor(labels, torch::kLong);
  return classes;
}

ZeroShotScore ClipValidation::Score(const ClipTwin& twin, const Classes& classes,
                                    const Tensor& pictures) {
  if (classes.count == 0) return {};
  const Tensor prompts = twin.EncodeTexts(classes.prompts).to(torch::kCPU);
  Tensor vectors = torch::zeros({classes.count, prompts.size(1)});
  vectors.index_add_(0, classes.owners, prompts);
  vectors = vectors / vectors.norm(2, -1, true);
  const Tensor known = classes.labels >= 0;
  const Tensor labels = classes.labels.masked_select(known);
  const Tensor guesses = torch::matmul(pictures, vectors.t()).argmax(1).masked_select(known);
  const Tensor found = (guesses == labels).to(torch::kDouble);
  const Tensor zeros = torch::zeros({classes.count}, torch::kDouble);
  const Tensor totals = zeros.index_add(0, labels, torch::ones_like(found));
  const Tensor hits = zeros.index_add(0, labels, found);
  const Tensor present = totals > 0;
  return {found.mean().item<double>(),
          (hits.masked_select(present) / totals.masked_select(present)).mean().item<double>()};
}

ClipScores ClipValidation::Measure(const ClipTwin& twin, const ProcessGroup& group) const {
  const torch::NoGradGuard no_gradient;
  const Tensor pictures = PhotoVectors(twin, photos_, group);
  ClipScores scores;
  scores.type = Score(twin, types_, pictures);
  scores.colour = Score(twin, colours_, pictures);
  scores.gender = Score(twin, genders_, pictures);
  const Tensor names = twin.EncodeTexts(names_).to(torch::kCPU);
  const Tensor named = pictures.index_select(0, torch::tensor(named_, torch::kLong));
  const Tensor similarities = torch::matmul(names, named.t());
  scores.photos_by_name = RecallOf(similarities, right_);
  scores.names_by_photo = RecallOf(similarities.t(), right_.t());
  return scores;
}

}  // namespace ondine::train
