// LearnClasses(): strengths of words by gradient descent.
#include "images/class_learner.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "images/query_text.h"
#include "images/vector_math.h"
#include "models/clip_gradient.h"
#include "text/weighted_prompt.h"

namespace ondine {
namespace {

using images::TextWord;

// Kingma and Ba: Adam, 2015, with the settings that everybody uses.
class Adam {
 public:
  Adam(std::size_t count, double rate) : rate_(rate), mean_(count), square_(count) {}

  void Step(std::span<const double> gradient, std::span<double> values) {
    ++steps_;
    for (std::size_t i = 0; i < values.size(); ++i) {
      mean_[i] += (1 - kMeanDecay) * (gradient[i] - mean_[i]);
      square_[i] += (1 - kSquareDecay) * (gradient[i] * gradient[i] - square_[i]);
      const double mean = mean_[i] / (1 - std::pow(kMeanDecay, steps_));
      const double square = square_[i] / (1 - std::pow(kSquareDecay, steps_));
      values[i] -= rate_ * mean / (std::sqrt(square) + 1e-8);
    }
  }

 private:
  static constexpr double kMeanDecay = 0.9, kSquareDecay = 0.999;
  double rate_;
  int steps_ = 0;
  std::vector<double> mean_, square_;
};

// A class's text and where the strengths of its words are among those of all.
struct Text {
  text::WeightedPrompt prompt;
  std::vector<TextWord> words;
  std::size_t first = 0;
  images::TowerInput input;  // log_weights are those of the moment
};

// What a classifier makes of the photos.
struct Outcome {
  double loss = 0, accuracy = 0;
  std::vector<float> upstream;  // [classes][length]: the loss's gradient at the classes' vectors
};

class ClassLearner {
 public:
  ClassLearner(const Clip::Parts& parts, images::WeightedTexts& encoder,
               const std::vector<ClassExamples>& examples, const LearnOptions& options)
      : parts_(parts), encoder_(encoder), examples_(examples), options_(options) {}

  Result<LearnedClasses> Learn() {
    ONDINE_TRY(CheckInput());
    for (const ClassExamples& example : examples_) ONDINE_TRY(AddText(example));
    Outcome outcome = Measure();
    learned_.plain_loss = outcome.loss;
    learned_.plain_accuracy = outcome.accuracy;
    ONDINE_TRY(Descend(std::move(outcome)));
    Export();
    outcome = Measure();
    learned_.loss = outcome.loss;
    learned_.accuracy = outcome.accuracy;
    return std::move(learned_);
  }

 private:
  static tl::unexpected<Error> Refused(const std::string& reason) {
    return MakeError(ErrorCode::kInvalidArgument, reason);
  }

  Status CheckInput() const {
    if (options_.steps < 1 || !(options_.learning_rate > 0) || options_.learning_rate > 1 ||
        !(options_.pull >= 0) || options_.pull > 1) {
      return Refused("steps are 1 or more, the learning rate is above 0, the pull 0 to 1");
    }
    if (examples_.size() < 2) return Refused("classes are learned against each other: two or more");
    std::set<std::string> names;
    for (const ClassExamples& example : examples_) {
      const std::string name = base::Quote(example.name);
      if (!names.insert(example.name).second) return Refused("two classes are called " + name);
      if (example.photos.empty()) return Refused("the class " + name + " has no photos");
      if (parts_.tokenizer.Encode(example.text).empty()) {
        return Refused("the class " + name + " has no text");
      }
      for (const std::vector<float>& photo : example.photos) {
        if (photo.size() != static_cast<std::size_t>(parts_.info.vector_length)) {
          return Refused("a photo of " + name + " has a vector of another length");
        }
      }
    }
    return {};
  }

  Status AddText(const ClassExamples& example) {
    Text text;
    text.prompt.text = example.text;
    images::TextTokens tokens = parts_.tokenizer.Encode(example.text);
    const auto most = static_cast<std::size_t>(parts_.info.longest_text);
    if (tokens.size() > most) {
      tokens.resize(most);
      // A part of a word would have other tokens.
      while (!tokens.empty() && !tokens.back().ends_word) tokens.pop_back();
      if (tokens.empty())
        return Refused("the text of " + base::Quote(example.name) + " is no words");
      text.prompt.text.resize(tokens.back().end);
      learned_.notes.push_back("of the text of " + base::Quote(example.name) + " only the first " +
                               std::to_string(tokens.size()) + " tokens count");
    }
    text.words = images::WordsOf(tokens, std::vector<double>(tokens.size(), 1.0));
    text.input = images::MakeInput(parts_.tokenizer, tokens, {});
    text.input.log_weights.assign(text.input.ids.size(), 0.0f);
    text.first = thetas_.size();
    thetas_.resize(thetas_.size() + text.words.size());
    texts_.push_back(std::move(text));
    return {};
  }

  std::vector<models::ClipText> TowerTexts() {
    std::vector<models::ClipText> inputs;
    for (Text& text : texts_) {
      for (std::size_t word = 0; word < text.words.size(); ++word) {
        for (std::size_t i = text.words[word].begin; i < text.words[word].end; ++i) {
          text.input.log_weights[i + 1] = static_cast<float>(thetas_[text.first + word]);
        }
      }
      inputs.push_back(text.input.Text());
    }
    return inputs;
  }

  Outcome Measure() {
    const auto length = static_cast<std::size_t>(parts_.info.vector_length);
    const std::size_t classes = texts_.size();
    std::vector<float> vectors(classes * length);
    encoder_.Encode(TowerTexts(), vectors.data());
    Outcome outcome;
    outcome.upstream.assign(vectors.size(), 0.0f);
    std::vector<double> shares(classes);
    for (std::size_t own = 0; own < classes; ++own) {
      // Every class counts the same, however many photos it has.
      const double weight = 1 / static_cast<double>(classes * examples_[own].photos.size());
      for (const std::vector<float>& photo : examples_[own].photos) {
        for (std::size_t i = 0; i < classes; ++i) {
          shares[i] = parts_.info.logit_scale * images::Dot(photo, {&vectors[i * length], length});
        }
        const std::size_t best =
            static_cast<std::size_t>(std::ranges::max_element(shares) - shares.begin());
        if (best == own) outcome.accuracy += weight;
        images::Softmax(shares);
        outcome.loss -= weight * std::log(std::max(shares[own], 1e-300));
        for (std::size_t i = 0; i < classes; ++i) {
          const auto pull = static_cast<float>(weight * parts_.info.logit_scale *
                                               (shares[i] - (i == own ? 1 : 0)));
          for (std::size_t c = 0; c < length; ++c) {
            outcome.upstream[i * length + c] += pull * photo[c];
          }
        }
      }
    }
    return outcome;
  }

  Status Descend(Outcome outcome) {
    Adam adam(thetas_.size(), options_.learning_rate);
    std::vector<double> gradient(thetas_.size());
    std::vector<float> by_token;
    for (int step = 0; step < options_.steps; ++step) {
      if (options_.stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      if (options_.progress) options_.progress(step, outcome.loss);
      const std::vector<models::ClipText> inputs = TowerTexts();
      std::size_t tokens = 0;
      for (const models::ClipText& input : inputs) tokens += input.tokens.size();
      by_token.resize(tokens);
      encoder_.LogWeights(inputs, outcome.upstream.data(), by_token);
      const float* of_text = by_token.data();
      for (const Text& text : texts_) {
        for (std::size_t word = 0; word < text.words.size(); ++word) {
          double& sum = gradient[text.first + word];
          sum = options_.pull * thetas_[text.first + word];
          for (std::size_t i = text.words[word].begin; i < text.words[word].end; ++i) {
            sum += of_text[i + 1];
          }
        }
        of_text += text.input.ids.size();
      }
      adam.Step(gradient, thetas_);
      for (double& theta : thetas_) theta = std::min(theta, std::log(text::kMostWeight));
      outcome = Measure();
    }
    return {};
  }

  // As queries, whose strengths have three digits behind the point; these are what is measured
  // last.
  void Export() {
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      Text& text = texts_[i];
      for (std::size_t word = 0; word < text.words.size(); ++word) {
        double& theta = thetas_[text.first + word];
        const double weight = std::round(std::exp(theta) * 1000) / 1000;
        theta = std::log(weight);
        text.prompt.spans.push_back(
            {text.words[word].first_byte, text.words[word].end_byte, weight});
      }
      learned_.classes.push_back({examples_[i].name, text::CanonicalQuery(text.prompt)});
    }
  }

  const Clip::Parts& parts_;
  images::WeightedTexts& encoder_;
  const std::vector<ClassExamples>& examples_;
  const LearnOptions& options_;
  std::vector<Text> texts_;
  std::vector<double> thetas_;  // log strength of each word of each class
  LearnedClasses learned_;
};

// The engine's own.
class EngineTexts final : public images::WeightedTexts {
 public:
  EngineTexts(models::ClipPass& pass, models::ClipGradient& gradient)
      : pass_(pass), gradient_(gradient) {}

  void Encode(std::span<const models::ClipText> texts, float* vectors) override {
    pass_.EncodeTexts(texts, {}, vectors);
  }
  void LogWeights(std::span<const models::ClipText> texts, const float* upstream,
                  std::span<float> gradients) override {
    gradient_.LogWeights(texts, {}, upstream, gradients);
  }

 private:
  models::ClipPass& pass_;
  models::ClipGradient& gradient_;
};

}  // namespace

Result<LearnedClasses> images::LearnClasses(const Clip::Parts& parts, WeightedTexts& encoder,
                                            const std::vector<ClassExamples>& examples,
                                            const LearnOptions& options) {
  return ClassLearner(parts, encoder, examples, options).Learn();
}

Result<LearnedClasses> LearnClasses(Clip& clip, const std::vector<ClassExamples>& examples,
                                    const LearnOptions& options) {
  return base::Guarded([&]() -> Result<LearnedClasses> {
    Clip::Parts& parts = clip.parts();
    ONDINE_ASSIGN(const auto gradient, models::ClipGradient::Create(parts.weights, parts.pool));
    EngineTexts encoder(*parts.pass, *gradient);
    return images::LearnClasses(parts, encoder, examples, options);
  });
}

}  // namespace ondine
