#include "train/clip_batches.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "base/checksum.h"
#include "images/query_text.h"
#include "train/captions.h"
#include "train/clip_pictures.h"
#include "train/clip_text.h"
#include "train/pool_items.h"

namespace ondine::train {
namespace {

using torch::Tensor;

constexpr std::size_t kKinds = kAttributes + 1;  // of traits: the last is the name

// The value of each trait as a number, -1 where it is unknown.
Tensor TraitsOf(const std::vector<FashionItem>& items) {
  std::array<std::map<std::string, std::int64_t>, kKinds> numbers;
  std::vector<std::int64_t> traits;
  for (const FashionItem& item : items) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      const std::string& value = kind < kAttributes ? item.attributes[kind] : item.name;
      const auto next = static_cast<std::int64_t>(numbers[kind].size());
      traits.push_back(value.empty() ? -1 : numbers[kind].emplace(value, next).first->second);
    }
  }
  return torch::tensor(traits, torch::kLong).view({-1, static_cast<std::int64_t>(kKinds)});
}

void State(const Caption& caption, std::int64_t row, Tensor& stated) {
  bool* cells = stated.data_ptr<bool>() + row * static_cast<std::int64_t>(kKinds);
  for (std::size_t kind = 0; kind < kKinds; ++kind) cells[kind] = (caption.stated >> kind & 1) != 0;
}

}  // namespace

ClipBatches::ClipBatches(const PhotoSet& photos, const text::ClipTokenizer& tokenizer, int context,
                         std::int64_t batch, bool weighted, std::uint64_t seed)
    : photos_(photos),
      tokenizer_(tokenizer),
      context_(context),
      batch_(std::min(batch, static_cast<std::int64_t>(photos.items.size()))),
      seed_(seed),
      steps_per_epoch_(static_cast<std::int64_t>(photos.items.size()) / batch_),
      traits_(TraitsOf(photos.items)) {
  if (weighted) sayings_.emplace(photos.items);
}

ClipBatch ClipBatches::Draw(std::int64_t step, const ProcessGroup& group) {
  const std::int64_t epoch = step / steps_per_epoch_;
  if (epoch != epoch_) {
    order_ = EpochOrder(photos_.items.size(), seed_, epoch);
    epoch_ = epoch;
  }
  const std::int64_t first = step % steps_per_epoch_ * batch_;
  const std::vector<std::int64_t> chosen(order_.begin() + first, order_.begin() + first + batch_);
  const Tensor index = torch::tensor(chosen, torch::kLong);
  const Part own = Part::Own(batch_, group);

  ClipBatch batch;
  batch.photos = BytesOf(photos_).index_select(0, index.narrow(0, own.begin, own.size()));
  batch.index = index;
  batch.traits = traits_.index_select(0, index);
  batch.stated_by_names = torch::zeros({batch_, static_cast<std::int64_t>(kKinds)}, torch::kBool);
  batch.stated_by_phrases = torch::zeros_like(batch.stated_by_names);
  base::Random random(seed_ * 1000003 + static_cast<std::uint64_t>(step));
  for (std::int64_t i = 0; i < batch_; ++i) {
    const FashionItem& item =
        photos_.items[static_cast<std::size_t>(chosen[static_cast<std::size_t>(i)])];
    const Caption name = NameCaption(item, random), phrase = AttributeCaption(item, random);
    State(name, i, batch.stated_by_names);
    State(phrase, i, batch.stated_by_phrases);
    if (i < own.begin || i >= own.end) continue;
    batch.names.push_back(TokensOf(name.text, tokenizer_, context_));
    batch.phrases.push_back(TokensOf(phrase.text, tokenizer_, context_));
  }
  if (sayings_) DrawWeighted(own, random, batch);
  return batch;
}

void ClipBatches::DrawWeighted(const Part& own, base::Random& random, ClipBatch& batch) const {
  batch.shares = torch::empty({batch_, batch_});
  batch.log_weights = torch::zeros({own.size(), context_});
  for (std::int64_t i = 0; i < batch_; ++i) {
    const auto photo = static_cast<std::size_t>(batch.index[i].item<std::int64_t>());
    const WeightedCaption caption = DrawWeightedCaption(photos_.items[photo], random);
    batch.shares.select(1, i).copy_(sayings_->Share(caption, batch.index));
    if (i < own.begin || i >= own.end) continue;
    images::TextTokens tokens = tokenizer_.Encode(caption.prompt.text);
    tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(context_) - 2));
    const images::TowerInput input =
        images::MakeInput(tokenizer_, tokens, text::TokenWeights(caption.prompt, tokens));
    std::ranges::copy(input.log_weights,
                      batch.log_weights.data_ptr<float>() + (i - own.begin) * context_);
    batch.weighted.push_back(input.ids);
  }
}

std::string ClipBatches::Fingerprint() const {
  base::Checksum hash;
  const auto add = [&](const std::string& text) {
    hash.Update(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
  };
  for (const FashionItem& item : photos_.items) {
    add(item.name);
    for (const std::string& value : item.attributes) add(value);
    // Few merges differ where these do not.
    const std::vector<std::int32_t> tokens = TokensOf(item.name, tokenizer_, context_);
    hash.Update(std::as_bytes(std::span(tokens)));
  }
  hash.Update(std::as_bytes(std::span(photos_.pixels)));
  return hash.Digits();
}

}  // namespace ondine::train
