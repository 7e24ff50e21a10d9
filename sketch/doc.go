// Package sketch keeps the distribution of durations in few bytes, so that percentiles can be
// told of any span of time by merging the sketches of its parts.
//
// It is the DDSketch of Masson, Rim and Lee, "DDSketch: A Fast and Fully-Mergeable Quantile
// Sketch with Relative-Error Guarantees" (PVLDB 12, 2019): with the relative error a = 0.01 and
// g = (1+a)/(1-a), a duration of x ns is counted in bucket ceil(log(x)/log(g)), and bucket i
// stands for 2*g^i/(g+1) ns, which is within a of everything in it. Merging adds the counts, so
// neither its order nor its grouping matters. The buckets cover all durations: none are collapsed.
package sketch
