#include "memory/pot_io.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/quote.h"
#include "base/try.h"
#include "memory/pot_parts.h"

namespace ondine::memory {
namespace {

using formats::PotFile;
using formats::PotFileWriter;

std::string Name(int layer, const char* what) {
  return "layer." + std::to_string(layer) + "." + what;
}

bool AreFinite(const compute::KvLayer& store, std::int64_t rows) {
  std::vector<float> row(static_cast<std::size_t>(store.shape().head_dim));
  const auto finite = [&] {
    return std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); });
  };
  for (int head = 0; head < store.shape().kv_heads; ++head) {
    for (std::int64_t slot = 0; slot < rows; ++slot) {
      store.ReadKey(head, slot, row.data());
      if (!finite()) return false;
      store.ReadValue(head, slot, row.data());
      if (!finite()) return false;
    }
  }
  return true;
}

// What surprised while reading does not matter any more.
Status WriteKnown(std::span<const KnownToken> known, bool origins, base::FileSink& sink) {
  std::vector<std::int32_t> values(known.size());
  std::transform(known.begin(), known.end(), values.begin(), [origins](const KnownToken& token) {
    return origins ? token.origin : token.token;
  });
  return sink.Write(std::as_bytes(std::span(values)));
}

tl::unexpected<Error> Corrupt(const PotFile& file, std::string message) {
  return MakeError(ErrorCode::kCorrupt, std::move(message), file.path());
}

// What is the caller's fault elsewhere is the file's here.
template <typename T>
Result<T> OfFile(const PotFile& file, Result<T> parsed) {
  if (!parsed) return Corrupt(file, std::move(parsed).error().message);
  return parsed;
}

// What the model computed from must be numbers, and origins must ascend within what was read.
Status CheckEntries(const PotFile& file, const std::vector<HeadEntries>& heads,
                    std::int64_t position) {
  for (const HeadEntries& head : heads) {
    std::int64_t before = -1;
    for (std::int32_t origin : head.origin) {
      if (origin <= before || origin >= position) {
        return Corrupt(file, "entries are not in the order of the text");
      }
      before = origin;
    }
    for (float surprise : head.surprise) {
      if (!std::isfinite(surprise)) return Corrupt(file, "a surprise is not a number");
    }
  }
  return {};
}

Result<std::vector<KnownToken>> ReadKnown(const PotFile& file, std::int64_t most,
                                          std::int64_t position, std::int64_t vocabulary) {
  ONDINE_ASSIGN(const std::int64_t count, file.GetInt("state.known", 0, std::min(most, position)));
  ONDINE_ASSIGN(const auto origins,
                file.Array<std::int32_t>("known.origin", static_cast<std::uint64_t>(count)));
  ONDINE_ASSIGN(const auto tokens,
                file.Array<TokenId>("known.token", static_cast<std::uint64_t>(count)));
  std::vector<KnownToken> known;
  known.reserve(origins.size());
  std::int64_t before = -1;
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (origins[i] <= before || origins[i] >= position) {
      return Corrupt(file, "what is known is not in the order of the text");
    }
    before = origins[i];
    if (tokens[i] < 0 || tokens[i] >= vocabulary) {
      return Corrupt(file, "a known token is not of this model");
    }
    known.push_back({origins[i], tokens[i], 0, 0});
  }
  return known;
}

const char* ReduceName(Reduce reduce) {
  switch (reduce) {
    case Reduce::kSum: return "sum";
    case Reduce::kMax: return "max";
    case Reduce::kMean: return "mean";
  }
  return "sum";
}

Result<Reduce> ReadReduce(const PotFile& file, const char* key) {
  ONDINE_ASSIGN(const std::string name, file.GetString(key));
  for (Reduce reduce : {Reduce::kSum, Reduce::kMax, Reduce::kMean}) {
    if (name == ReduceName(reduce)) return reduce;
  }
  return Corrupt(file, std::string(key) + " is " + base::Quote(name));
}

}  // namespace

void PotIo::Describe(const Pot& pot, PotFileWriter& file) {
  const PotSettings& settings = pot.settings_;
  file.Set("pot.slots", settings.slots);
  file.Set("pot.policy", std::string(PotPolicyName(settings.policy)));
  file.Set("pot.keep", settings.keep);
  file.Set("pot.alpha", *settings.alpha);
  file.Set("pot.surprise_span", std::int64_t{settings.surprise_span});
  file.Set("pot.surprise_stride", std::int64_t{settings.surprise_stride});
  file.Set("pot.rarity", settings.rarity);
  file.Set("pot.consolidate", *settings.consolidate);
  file.Set("pot.archive", *settings.archive);
  file.Set("pot.attention_span", std::int64_t{settings.attention_span});
  file.Set("pot.over_catalyst", std::string(ReduceName(settings.over_catalyst)));
  file.Set("pot.over_group", std::string(ReduceName(settings.over_group)));
  file.Set("pot.past_only", settings.past_only);
  file.Set("pot.sinks", std::int64_t{settings.sinks});
  file.Set("pot.recent", pot.recent_);
  file.Set("pot.reset_positions", settings.reset_positions);
  file.Set("pot.cache_type", std::string(CacheTypeName(settings.type)));
  file.Set("pot.catalyst", settings.catalyst);
  file.Set("state.catalyst_tokens", static_cast<std::int64_t>(pot.catalyst_.size()));
  file.Set("state.length", pot.cache_.length());
  file.Set("state.position", pot.cache_.position());
  file.Set("state.skipped", pot.skipped_);
  file.Set("state.local_length", pot.cache_.local_length());
  file.Set("state.prefix_tokens", pot.prefix_end_);
  file.Set("state.known", static_cast<std::int64_t>(pot.known().size()));
  file.Set("state.last_tokens", static_cast<std::int64_t>(pot.last_tokens_.size()));
  file.Set("counters.tokens", pot.counters_.tokens);
  file.Set("counters.peak_entries", pot.counters_.peak_entries);
  file.Set("counters.distillations", pot.counters_.distillations);

  file.AddSection("catalyst", std::as_bytes(std::span(pot.catalyst_)));
  file.AddSection("last_tokens", std::as_bytes(std::span(pot.last_tokens_)));
  file.AddSection("carried", std::as_bytes(std::span(pot.carried_)));
  for (const bool origins : {true, false}) {
    file.AddSection(
        origins ? "known.origin" : "known.token", pot.known().size() * 4,
        [&pot, origins](base::FileSink& sink) { return WriteKnown(pot.known(), origins, sink); });
  }
  const models::KvCache& cache = pot.cache_;
  for (int i = 0; i < cache.layers(); ++i) {
    const models::KvCache::Layer& layer = cache.layer(i);
    const std::int64_t rows = layer.local ? cache.local_length() : cache.length();
    const std::uint64_t bytes =
        layer.store.ExportBytes(rows) * static_cast<std::uint64_t>(layer.store.shape().kv_heads);
    for (const bool keys : {true, false}) {
      file.AddSection(Name(i, keys ? "keys" : "values"), bytes,
                      [&layer, rows, keys](base::FileSink& sink) {
                        return WriteHeads(layer.store, rows, keys,
                                          [&](Bytes part) { return sink.Write(part); });
                      });
    }
    if (layer.local) continue;
    const auto& heads = pot.entries_[static_cast<std::size_t>(i)];
    for (const bool origins : {true, false}) {
      file.AddSection(Name(i, origins ? "origin" : "surprise"),
                      heads.size() * static_cast<std::uint64_t>(rows) * 4,
                      [&heads, origins](base::FileSink& sink) {
                        return WriteEntries(heads, origins,
                                            [&](Bytes part) { return sink.Write(part); });
                      });
    }
  }
}

Result<PotSettings> PotIo::ReadSettings(const PotFile& file) {
  PotSettings settings;
  ONDINE_ASSIGN(settings.slots, file.GetInt("pot.slots", 1, kMostSlots));
  ONDINE_ASSIGN(const std::string policy, file.GetString("pot.policy"));
  ONDINE_ASSIGN(settings.policy, OfFile(file, ParsePotPolicy(policy)));
  ONDINE_ASSIGN(settings.keep, file.GetNumber("pot.keep", 0, 1));
  ONDINE_ASSIGN(settings.alpha, file.GetNumber("pot.alpha", 0, 1));
  ONDINE_ASSIGN(const std::int64_t surprise_span, file.GetInt("pot.surprise_span", 0, 1 << 20));
  ONDINE_ASSIGN(const std::int64_t attention_span, file.GetInt("pot.attention_span", 1, 1 << 20));
  ONDINE_ASSIGN(const std::int64_t stride, file.GetInt("pot.surprise_stride", 1, 1 << 20));
  settings.surprise_stride = static_cast<int>(stride);
  ONDINE_ASSIGN(settings.rarity, file.GetNumber("pot.rarity", 0, 1));
  ONDINE_ASSIGN(settings.consolidate, file.GetBool("pot.consolidate"));
  ONDINE_ASSIGN(settings.archive, file.GetInt("pot.archive", 0, kMostSlots));
  settings.surprise_span = static_cast<int>(surprise_span);
  settings.attention_span = static_cast<int>(attention_span);
  ONDINE_ASSIGN(settings.over_catalyst, ReadReduce(file, "pot.over_catalyst"));
  ONDINE_ASSIGN(settings.over_group, ReadReduce(file, "pot.over_group"));
  ONDINE_ASSIGN(settings.past_only, file.GetBool("pot.past_only"));
  ONDINE_ASSIGN(const std::int64_t sinks, file.GetInt("pot.sinks", 0, settings.slots));
  ONDINE_ASSIGN(const std::int64_t recent, file.GetInt("pot.recent", 0, settings.slots));
  settings.sinks = static_cast<int>(sinks);
  settings.recent = static_cast<int>(recent);
  ONDINE_ASSIGN(settings.reset_positions, file.GetBool("pot.reset_positions"));
  ONDINE_ASSIGN(const std::string type, file.GetString("pot.cache_type"));
  ONDINE_ASSIGN(settings.type, OfFile(file, ParseCacheType(type)));
  ONDINE_ASSIGN(settings.catalyst, file.GetString("pot.catalyst"));
  return settings;
}

Result<std::vector<TokenId>> PotIo::ReadCatalyst(const PotFile& file, std::int64_t vocabulary) {
  ONDINE_ASSIGN(const std::int64_t count,
                file.GetInt("state.catalyst_tokens", 0, models::KvCache::kMaxPrepared));
  ONDINE_ASSIGN(const auto tokens,
                file.Array<TokenId>("catalyst", static_cast<std::uint64_t>(count)));
  for (TokenId token : tokens) {
    if (token < 0 || token >= vocabulary) return Corrupt(file, "the catalyst is not of this model");
  }
  return std::vector<TokenId>(tokens.begin(), tokens.end());
}

Status PotIo::Restore(const PotFile& file, Pot& pot) {
  models::KvCache& cache = pot.cache_;
  const std::int64_t vocabulary = pot.pass_.decoder().vocabulary();
  const auto width = static_cast<std::uint64_t>(pot.pass_.decoder().spec().width);
  ONDINE_ASSIGN(const std::int64_t length, file.GetInt("state.length", 0, pot.limit()));
  ONDINE_ASSIGN(const std::int64_t position, file.GetInt("state.position", length, kLongestStream));
  ONDINE_ASSIGN(pot.skipped_, file.GetInt("state.skipped", 0, kLongestStream - position));
  ONDINE_ASSIGN(const std::int64_t local,
                file.GetInt("state.local_length", std::min<std::int64_t>(cache.window(), position),
                            std::min(cache.local_capacity(), position)));
  ONDINE_ASSIGN(pot.prefix_end_, file.GetInt("state.prefix_tokens", 0, position));
  ONDINE_ASSIGN(const std::int64_t last, file.GetInt("state.last_tokens", 0, length));
  ONDINE_ASSIGN(pot.counters_.tokens, file.GetInt("counters.tokens", 0, kLongestStream));
  ONDINE_ASSIGN(pot.counters_.peak_entries,
                file.GetInt("counters.peak_entries", 0, cache.capacity()));
  ONDINE_ASSIGN(pot.counters_.distillations,
                file.GetInt("counters.distillations", 0, kLongestStream));
  ONDINE_ASSIGN(const auto last_tokens,
                file.Array<TokenId>("last_tokens", static_cast<std::uint64_t>(last)));
  for (TokenId token : last_tokens) {
    if (token < 0 || token >= vocabulary) return Corrupt(file, "a token is not of this model");
  }
  pot.last_tokens_.assign(last_tokens.begin(), last_tokens.end());
  ONDINE_ASSIGN(const auto carried, file.Array<float>("carried", position > 0 ? width : 0));
  for (float value : carried) {
    if (!std::isfinite(value)) return Corrupt(file, "the last state holds NaN or infinity");
  }
  pot.carried_.assign(carried.begin(), carried.end());

  for (int i = 0; i < cache.layers(); ++i) {
    compute::KvLayer& store = cache.store(i);
    const bool is_local = cache.layer(i).local;
    const std::int64_t rows = is_local ? local : length;
    const auto kv_heads = static_cast<std::uint64_t>(store.shape().kv_heads);
    const auto from = [&](std::span<const std::byte>& rest) {
      return [&rest](std::span<std::byte> out) -> Status {
        std::copy_n(rest.begin(), out.size(), out.begin());
        rest = rest.subspan(out.size());
        return {};
      };
    };
    for (const bool keys : {true, false}) {
      ONDINE_ASSIGN(const auto section,
                    file.Array<std::uint8_t>(Name(i, keys ? "keys" : "values"),
                                             store.ExportBytes(rows) * kv_heads));
      std::span<const std::byte> rest = std::as_bytes(section);
      ONDINE_TRY(ReadHeads(store, rows, keys, from(rest)));
    }
    if (!AreFinite(store, rows)) {
      return Corrupt(file, "layer " + std::to_string(i) + " holds NaN or infinity");
    }
    if (is_local) continue;
    auto& heads = pot.entries_[static_cast<std::size_t>(i)];
    for (const bool origins : {true, false}) {
      ONDINE_ASSIGN(const auto section,
                    file.Array<std::uint8_t>(Name(i, origins ? "origin" : "surprise"),
                                             kv_heads * static_cast<std::uint64_t>(rows) * 4));
      std::span<const std::byte> rest = std::as_bytes(section);
      ONDINE_TRY(ReadEntries(heads, rows, origins, from(rest)));
    }
    ONDINE_TRY(CheckEntries(file, heads, position + pot.skipped_));
  }
  // As many as Archive::Reserve() made room for.
  const std::int64_t most =
      pot.archives() ? std::max(*pot.settings_.archive, 2 * pot.kept_) + pot.settings_.slots : 0;
  ONDINE_ASSIGN(auto known, ReadKnown(file, most, position + pot.skipped_, vocabulary));
  pot.archive_.Assign(std::move(known));
  pot.text_ended_ = true;
  cache.Restore(length, position, local);
  pot.logits_valid_ = false;
  return {};
}

}  // namespace ondine::memory
