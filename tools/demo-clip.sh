#!/bin/sh
# Makes src/server/demo.flv, the clip that `weir --demo` loops: a ball that hits the floor once a second, with a flash
# and a sound at the same instant, and a clock of the clip's time. Shows a delay, a lost frame, or sound out of sync.
#
#   tools/demo-clip.sh [OUTPUT]
#
# Needs ffmpeg with libx264 and drawtext, and the DejaVu fonts. The same ffmpeg makes the same bytes.
#
# 8 s because then everything is whole: 200 frames of video in 4 closed GOPs, 375 frames of AAC at 48 kHz. The tags of
# the next round follow at +8000 ms without a gap or an overlap in either track. For that the sound is made three rounds
# long and one round is cut out of its middle, begun so that all timestamps fall in 0..8000: video starts at 0 and is
# shown 80 ms later (B-frames), sound number 0 therefore belongs at 80 ms, and the cut begins 3 frames (64 ms) before it.
set -eu

out=${1:-$(dirname "$0")/../src/server/demo.flv}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
font=$(fc-match -f '%{file}' 'DejaVu Sans Mono:bold')
exact="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -threads 1 -map_metadata -1"

# A struck note a second, the first of a round an octave higher; decays fast enough to end before the next one.
ffmpeg -v error -y -f lavfi -i "aevalsrc='0.5*exp(-14*mod(t,1))*min(1,1500*mod(t,1))
        *sin(2*PI*mod(t,1)*if(lt(mod(t,8),1),1318.51,659.26))':s=48000:d=24" \
    -c:a aac -b:a 48k -ac 2 $exact "$work/rounds.aac"

# The encoder puts one frame of nothing first, so frame 376 is the first one of the second round, and belongs at 0.
shift=-8.021333
cut="noise=drop='lt(n,373)+gte(n,748)'"

# A background of slow colours that return after 8 s, made small because it has no edges.
background="nullsrc=s=64x36:r=25,format=yuv444p,geq=
    lum='84+20*sin(2*PI*(X/W+T/8))+14*cos(2*PI*(Y/H-T/4))':
    cb='146+20*sin(2*PI*(0.6*X/W-T/8))+8*cos(PI*Y/H)':
    cr='122+22*cos(2*PI*(0.5*Y/H+0.4*X/W+T/8))',
    scale=640:360:flags=bicubic,format=yuv420p"
ball="color=white:s=52x52:r=25,format=yuva444p,geq=lum=235:cb=128:cr=128:a='255*clip(26-hypot(X-25.5,Y-25.5),0,1)'"
hit="lt(mod(t+0.001,1),0.12)"

ffmpeg -v error -y \
    -t 8 -f lavfi -i "$background" -t 8 -f lavfi -i "$ball" -itsoffset $shift -i "$work/rounds.aac" \
    -filter_complex "
        [0]drawbox=y=296:h=4:w=iw:color=white@0.35:t=fill,
           drawbox=y=292:h=12:w=iw:color=white@0.9:t=fill:enable='$hit',
           drawtext=fontfile=$font:text='weir':fontsize=40:fontcolor=white@0.9:x=32:y=24,
           drawtext=fontfile=$font:fontsize=40:fontcolor=white@0.9:x=w-tw-32:y=24:
                    text='%{eif\:floor(t+0.001)\:d}.%{eif\:mod(floor(t*100+0.1)\,100)\:d\:2}',
           drawtext=fontfile=$font:text='flash and sound together, once a second':
                    fontsize=17:fontcolor=white@0.7:x=(w-tw)/2:y=322[scene];
        [scene][1]overlay=x='(W-w)/2-230*cos(2*PI*t/8)':y='240-150*abs(sin(PI*t))':format=yuv444,format=yuv420p[v]" \
    -map '[v]' -map 2:a -c:a copy -bsf:a "$cut" \
    -c:v libx264 -profile:v high -preset veryslow -tune animation -crf 28 \
    -x264-params keyint=50:min-keyint=50:scenecut=0:open-gop=0:bframes=3:b-pyramid=normal \
    $exact -flvflags no_duration_filesize+no_sequence_end -f flv "$out"

size=$(wc -c <"$out")
echo "$out: $size bytes"
[ "$size" -lt 250000 ] || { echo "$out: too large to be built in" >&2; exit 1; }
