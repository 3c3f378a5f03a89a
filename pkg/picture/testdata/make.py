# Makes the files of pkg/picture/testdata with Pillow, ImageMagick 6, libtiff-tools and libwebp.
import subprocess, struct, zlib
from PIL import Image, ImageCms, PngImagePlugin
W,H=37,23
run=lambda *a: subprocess.run(a,check=True)
def rgb(x,y): return ((x*6+20)&255,(y*9+10)&255,((x+y)*4)&255)
def rgb16(x,y): return (x*1700+y*13, y*2500+x*7, (x+y)*1000+5)
def alpha(x,y): return (x*5+y*2)&255
def alpha16(x,y): return (x*1500+y*300)&65535
def grey(x,y): return (x*3+y*5)&255
def grey16(x,y): return x*1000+y*1111
px=[(x,y) for y in range(H) for x in range(W)]
def im(mode,f):
    i=Image.new(mode,(W,H)); i.putdata([f(*p) for p in px]); return i
def be(vals): return b''.join(struct.pack('>H',v) for v in vals)
def pam(name,depth,maxval,tupl,data): open(name,'wb').write(b'P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n'%(W,H,depth,maxval,tupl)+data)
pam('rgb16.pam',3,65535,b'RGB',b''.join(be(rgb16(*p)) for p in px))
pam('rgba16.pam',4,65535,b'RGB_ALPHA',b''.join(be(rgb16(*p)+(alpha16(*p),)) for p in px))
pam('grey16.pam',1,65535,b'GRAYSCALE',b''.join(be((grey16(*p),)) for p in px))
pam('greya.pam',2,255,b'GRAYSCALE_ALPHA',b''.join(bytes((grey(*p),alpha(*p))) for p in px))
c=im('RGB',rgb); g=im('L',grey); a=im('RGBA',lambda x,y: rgb(x,y)+(alpha(x,y),))
icc=ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()

def exif(o):
    e=Image.Exif(); e[0x0112]=o; e[0x010f]='Maker'; return e
c.save('rgb.png'); g.save('grey.png'); a.save('rgba.png')
cv='/usr/bin/convert'
run(cv,'rgb16.pam','-define','png:format=png48','rgb16.png')
run(cv,'rgba16.pam','-define','png:format=png64','rgba16.png')
run(cv,'grey16.pam','-define','png:color-type=0','-define','png:bit-depth=16','grey16.png')
run(cv,'greya.pam','-define','png:color-type=4','-define','png:bit-depth=8','greya.png')
run(cv,'rgb.png','-interlace','PNG','-define','png:format=png24','interlaced.png')
c.quantize(16).save('palette.png')
g.point(lambda v: 255*(v>99)).convert('1').save('bits.png')
c.save('key.png',transparency=rgb(3,4))
info=PngImagePlugin.PngInfo(); info.add_text('Comment','by hand')
turn6=c.transpose(Image.ROTATE_90) # stored so that orientation 6 turns it upright
turn6.save('turned.png',pnginfo=info,exif=exif(6),icc_profile=icc,dpi=(300,300))
c.save('rgb.jpg',quality=98,subsampling=0); g.save('grey.jpg',quality=98)
c.save('progressive.jpg',quality=95,progressive=True)
c.convert('CMYK').save('cmyk.jpg')
turn6.save('turned.jpg',quality=98,subsampling=0,exif=exif(6),icc_profile=icc)
c.save('plain.tif'); c.save('lzw.tif',compression='tiff_lzw'); c.save('deflate.tif',compression='tiff_adobe_deflate',icc_profile=icc,dpi=(300,300),description='by hand')
g.save('grey.tif'); a.save('rgba.tif')
run(cv,'rgb16.pam','-compress','None','rgb16.tif')
run('tiffcp','-c','lzw:2','-r','4','rgb16.tif','rgb16_lzw_strips.tif')
run('tiffcp','-c','zip:2','-r','5','-B','rgb16.tif','rgb16_zip_big_endian.tif')
run(cv,'grey16.pam','-compress','LZW','grey16.tif')
run(cv,'rgba16.pam','-compress','Zip','rgba16.tif')
run('tiffcp','-c','lzw','-t','-w','16','-l','16','plain.tif','tiles.tif')
run('tiffcp','-c','packbits','-r','7','plain.tif','packbits.tif')
run('tiffcp','-p','separate','plain.tif','planes.tif')
run('tiffcp','-c','none','-r','100','plain.tif','one_strip.tif')
turn6.save('turned.tif'); run('tiffset','-s','274','6','turned.tif')
c.convert('CMYK').save('cmyk.tif'); g.convert('F').save('float.tif')
run('tiffcp','-8','plain.tif','big.tif')
run('cwebp','-quiet','-q','98','rgb.png','-o','lossy.webp'); run('cwebp','-quiet','-lossless','-exact','rgba.png','-o','rgba.webp')
turn6.save('turned.webp',quality=98,exif=exif(6),icc_profile=icc)
c.save('rgb.bmp'); g.save('grey.bmp'); run(cv,'rgba.png','-define','bmp:format=bmp4','rgba.bmp')
q=c.quantize(64); q.save('frames.gif',save_all=True,append_images=[im('RGB',lambda x,y:(0,0,0)).quantize(2)])
b=g.point(lambda v: 255*(v>99)).convert('1')
b.save('fax3.tif',compression='group3'); b.save('fax4.tif',compression='group4') # 0 is black, unlike in a fax
run('tiffcp','-c','g3:2d','fax4.tif','fax3_2d.tif'); run('tiffcp','-f','lsb2msb','fax4.tif','fax4_reversed.tif'); run('tiffcp','-f','lsb2msb','plain.tif','reversed.tif')
a.save('lossy_alpha.webp',quality=98,exact=True)
c.save('moving.webp',save_all=True,append_images=[im('RGB',lambda x,y:(0,0,0))],quality=50)
