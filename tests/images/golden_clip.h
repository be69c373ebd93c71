// Vectors of the tiny CLIP, made by tests/images/clip_transformers.py.
#ifndef ONDINE_TESTS_IMAGES_GOLDEN_CLIP_H_
#define ONDINE_TESTS_IMAGES_GOLDEN_CLIP_H_

#include <cstdint>
#include <vector>

namespace ondine::testing {

inline const std::vector<std::int32_t> kGoldenTokens = {517, 513, 70, 320, 516, 518};
constexpr std::uint32_t kGoldenPicture = 7;  // of TinyPixels()

struct GoldenClip {
  std::vector<float> text, picture;
};

// clang-format off
inline const GoldenClip kGoldenQuickGelu = {
    {-0.1765971f, -0.2097676f, -0.0427326f, 0.3275172f, 0.3426385f, 0.2089078f, -0.1206426f, -0.0513988f,
     -0.1047316f, 0.3314383f, -0.1627662f, -0.1308331f, -0.1599045f, -0.0697907f, -0.0608333f, -0.1369704f,
     -0.0065838f, 0.0539291f, 0.1001933f, -0.4525406f, -0.4179289f, -0.1250985f, -0.0145158f, 0.1087984f},
    {-0.1086276f, -0.0078304f, 0.1323156f, 0.5506308f, -0.1974198f, -0.2178987f, -0.0161133f, -0.0652321f,
     -0.0870626f, -0.0578154f, 0.3895178f, -0.1567921f, 0.0916390f, -0.2409778f, -0.3176861f, -0.1076932f,
     -0.1046682f, -0.2770764f, -0.0047421f, -0.0540080f, 0.2476283f, 0.0265496f, 0.1542290f, 0.1837655f}};
// clang-format on

// clang-format off
inline const GoldenClip kGoldenGelu = {
    {-0.1752722f, -0.2122071f, -0.0430573f, 0.3263184f, 0.3432340f, 0.2074870f, -0.1201642f, -0.0534607f,
     -0.1084674f, 0.3315907f, -0.1602536f, -0.1345786f, -0.1617985f, -0.0671974f, -0.0615845f, -0.1368760f,
     -0.0053270f, 0.0549275f, 0.0964127f, -0.4517231f, -0.4172335f, -0.1251419f, -0.0113947f, 0.1129218f},
    {-0.1100126f, -0.0077056f, 0.1317137f, 0.5510551f, -0.1984367f, -0.2187189f, -0.0155396f, -0.0641486f,
     -0.0886063f, -0.0585735f, 0.3883519f, -0.1541476f, 0.0901364f, -0.2400130f, -0.3173344f, -0.1082084f,
     -0.1061237f, -0.2787856f, -0.0040257f, -0.0524042f, 0.2476089f, 0.0286337f, 0.1543508f, 0.1831778f}};
// clang-format on

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_IMAGES_GOLDEN_CLIP_H_
