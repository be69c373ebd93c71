#include "text/pre_tokenizer_table.h"

#include <algorithm>
#include <array>

namespace ondine::text {
namespace {

#define CONTRACTION R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kUpTo3Digits = R"(\p{N}{1,3})";
constexpr std::string_view kThreeDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kLineBreak = R"([\r\n])";

constexpr std::string_view kLlama3 = "(?:" CONTRACTION R"()|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                                     R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES;
constexpr std::string_view kQwen2 = "(?:" CONTRACTION R"()|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES;
constexpr std::string_view kQwen35 = "(?:" CONTRACTION R"()|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
                                     R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" SPACES;
constexpr std::string_view kMiniCpm5 = "(?:" CONTRACTION R"()|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+)"
                                       R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES;
constexpr std::string_view kSeedCoder = "(?:" CONTRACTION R"()|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                        R"(| ?[^\s\p{L}\p{N}\r\n]+|)" SPACES;
constexpr std::string_view kBailing =
    R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";

// Words may change from upper to lower case once, never back.
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER "+(?:" CONTRACTION R"()?|[^\r\n\p{L}\p{N}]?)" UPPER
    "+" LOWER "*(?:" CONTRACTION R"()?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER R"(+|[^\r\n\p{L}\p{N}]?)" UPPER "+" LOWER
    R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;

constexpr std::string_view kDeepSeekV3Words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|)" SPACES;
constexpr std::string_view kKanaAndHan =
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";

// Cased letters, as the tokenizer of DeepSeek LLM lists them.
constexpr std::string_view kDeepSeekLetters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})"
    R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"
    R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943}]+)";
constexpr std::string_view kDeepSeekPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
constexpr std::string_view kDeepSeekHan =
    R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";

constexpr std::string_view kBloom =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";

#undef CONTRACTION
#undef SPACES
#undef UPPER
#undef LOWER

struct Family {
  std::vector<std::string_view> names;
  PreTokenizerRecipe recipe;
};

const std::vector<Family>& Families() {
  static const std::vector<Family> families = {
      {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "roberta-bpe", "jina-es", "jina-de", "jina-v2-es",
        "jina-v2-de", "jina-v1-en", "jina-v2-code", "gigachat", "a.x-4.0", "mellum", "modern-bert",
        "exaone4", "trillion", "granite-docling"},
       {{kGpt2}}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
        "mellum2"},
       {{kDigit, kGpt2}}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"},
       {{kLlama3}, true, true}},
      {{"dbrx", "smaug-bpe", "chatglm-bpe"}, {{kLlama3}}},
      {{"glm4", "glm5"}, {{kLlama3}, true}},
      {{"qwen2", "qwen3", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "grok-2",
        "solar-open", "kormo"},
       {{kQwen2}}},
      {{"qwen35"}, {{kQwen35}}},
      {{"minicpm5"}, {{kUpTo3Digits, kMiniCpm5}, true}},
      {{"seed-coder"}, {{kSeedCoder}}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {{kBailing}}},
      {{"deepseek-llm"},
       {{kLineBreak, kDeepSeekLetters, kDeepSeekPunctuation, R"(\s+$)", kDeepSeekHan,
         R"(\p{N}+)"}}},
      {{"deepseek-coder"}, {{kLineBreak, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepSeekHan, kDigit}}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
       {{kUpTo3Digits, kKanaAndHan, kDeepSeekV3Words}}},
      {{"falcon"}, {{R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, kThreeDigits}}},
      {{"gpt-4o", "llama4", "kanana2", "minimax-m2"}, {{kGpt4o}}},
      {{"tekken"}, {{kTekken}, true, true}},
      {{"chameleon"},
       {{"<sentinel:[0-9]+>", "(?:IMGIMG)[A-I]{1,4}Z", R"([\t\n]|    |  )", kDigit,
         R"([\p{P}!-/:-@\[-`{-~])", kGpt2},
        false,
        true}},
      {{"poro-chat", "bloom", "gpt3-finnish"}, {{kBloom}}},
      {{"viking"}, {{kBloom, kDigit}}},
      // Words without their spaces; the spaces between them are words of their own.
      {{"clip"}, {{R"('s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+)"}}},
      {{"default", ""}, {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", kThreeDigits}}},
  };
  return families;
}

// The characters of White_Space; PCRE2's \s has U+180E too, which Unicode took out in version 6.3.
constexpr std::string_view kSpace =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// What Unicode 15.0 and 15.1 assigned: releases of PCRE2 in use know Unicode 14 only.
constexpr std::string_view kNewLetters =
    R"(\x{1123F}-\x{11240}\x{11F02}\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F})"
    R"(\x{13441}-\x{13446}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A}\x{1E030}-\x{1E06D})"
    R"(\x{1E4D0}-\x{1E4EB}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
constexpr std::string_view kNewNumbers =
    R"(\x{11F50}-\x{11F59}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9})";
constexpr std::string_view kNewPunctuation = R"(\x{11B00}-\x{11B09}\x{11F43}-\x{11F4F})";
constexpr std::string_view kNewSymbols =
    R"(\x{2FFC}-\x{2FFF}\x{31EF}\x{1F6DC}\x{1F774}-\x{1F776}\x{1F77B}-\x{1F77F}\x{1F7D9})"
    R"(\x{1FA75}-\x{1FA77}\x{1FA87}-\x{1FA88}\x{1FAAD}-\x{1FAAF}\x{1FABB}-\x{1FABD}\x{1FABF})"
    R"(\x{1FACE}-\x{1FACF}\x{1FADA}-\x{1FADB}\x{1FAE8}\x{1FAF7}-\x{1FAF8})";
constexpr std::string_view kNewMarks =
    R"(\x{CF3}\x{ECE}\x{10EFD}-\x{10EFF}\x{11241}\x{11F00}-\x{11F01}\x{11F03}\x{11F34}-\x{11F3A})"
    R"(\x{11F3E}-\x{11F42}\x{13440}\x{13447}-\x{13455}\x{1E08F}\x{1E4EC}-\x{1E4EF})";

struct ClassRewrite {
  std::string_view name;
  std::string_view keep;  // what PCRE2 knows, with its ASCII members first: those are quick
  std::string_view add;
};
constexpr std::array<ClassRewrite, 7> kRewrites = {{
    {R"(\p{L})", R"(A-Za-z\p{L})", kNewLetters},
    {R"(\p{Lo})", R"(\p{Lo})", kNewLetters},  // all but a few of them are of this class
    {R"(\p{N})", R"(0-9\p{N})", kNewNumbers},
    {R"(\p{P})", R"(\p{P})", kNewPunctuation},
    {R"(\p{S})", R"(\p{S})", kNewSymbols},
    {R"(\p{M})", R"(\p{M})", kNewMarks},
    {R"(\s)", "", kSpace},
}};

}  // namespace

std::optional<PreTokenizerRecipe> FindPreTokenizer(std::string_view name) {
  for (const Family& family : Families()) {
    if (std::find(family.names.begin(), family.names.end(), name) != family.names.end()) {
      return family.recipe;
    }
  }
  return std::nullopt;
}

std::string PortablePattern(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  while (!pattern.empty()) {
    std::size_t taken = pattern[0] == '\\' ? 2 : 1;
    if (pattern[0] == '[') in_class = true;
    if (pattern[0] == ']') in_class = false;
    const auto rewrite = std::find_if(
        kRewrites.begin(), kRewrites.end(),
        [&](const ClassRewrite& candidate) { return pattern.starts_with(candidate.name); });
    if (rewrite != kRewrites.end()) {
      taken = rewrite->name.size();
      if (!in_class) out += '[';
      out += rewrite->keep;
      out += rewrite->add;
      if (!in_class) out += ']';
    } else if (pattern.starts_with(R"(\S)")) {
      out += "[^";
      out += kSpace;
      out += ']';
    } else {
      out += pattern.substr(0, taken);
    }
    pattern.remove_prefix(taken);
  }
  return out;
}

}  // namespace ondine::text
