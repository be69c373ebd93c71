// Made by clip_transformers.py; vectors of two texts and two pictures, one after the other.
#ifndef ONDINE_TESTS_TRAIN_CLIP_VECTORS_H_
#define ONDINE_TESTS_TRAIN_CLIP_VECTORS_H_

namespace ondine::testing {

// clang-format off
inline constexpr float kTextsQuickGelu[] = {
    0.1953601f, 0.0131335f, 0.0087962f, 0.2020879f, 0.1534895f, -0.9360365f, -0.0059244f, -0.1448675f,
    0.4191084f, -0.1073865f, 0.1710010f, 0.1506096f, -0.2607758f, -0.5676605f, -0.6085899f, 0.0163562f,
};
inline constexpr float kPicturesQuickGelu[] = {
    -0.3379945f, -0.4217799f, -0.1817105f, -0.2861097f, -0.1263623f, -0.0973108f, -0.7412510f, 0.1345142f,
    -0.2473730f, -0.3814130f, -0.2489461f, -0.3229255f, -0.0279379f, -0.1543411f, -0.7755316f, 0.0320102f,
};
inline constexpr float kTextsGelu[] = {
    0.1920230f, 0.0124586f, 0.0120586f, 0.2074560f, 0.1581012f, -0.9348839f, -0.0020497f, -0.1441544f,
    0.4148834f, -0.0984927f, 0.1751354f, 0.1558935f, -0.2615504f, -0.5678397f, -0.6098374f, 0.0210639f,
};
inline constexpr float kPicturesGelu[] = {
    -0.3405951f, -0.4190858f, -0.1810986f, -0.2903638f, -0.1299100f, -0.0931130f, -0.7402393f, 0.1332423f,
    -0.2509799f, -0.3788678f, -0.2497665f, -0.3242069f, -0.0309917f, -0.1525486f, -0.7751204f, 0.0305235f,
};
// clang-format on

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TRAIN_CLIP_VECTORS_H_
